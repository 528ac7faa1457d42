// The host of live widgets: it says when the kernel behind the numbers was lost, as in a restart.
export default {
  render({ model, el }) {
    const stop = render({ model, el });
    const gone = h("strong", { role: "alert" });
    el.prepend(gone);
    // Told of each change, and not which one: a kernel may be found again.
    const told = () => say(gone, gone.textContent ? "" : "The kernel of these numbers is gone: run this cell again.");
    model.on("comm_live_update", told);
    return () => {
      model.off("comm_live_update", told);
      stop();
    };
  },
};
