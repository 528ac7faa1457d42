"""Put the labels of the equations into the index, where the search finds them."""

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class IndexEquations(SphinxTransform):
    """Enter conv-dx as itself and below "equation"."""

    default_priority = 800  # before the domains collect the entries, at 850

    def apply(self) -> None:
        """Put an index node before every labelled equation."""
        for block in list(self.document.findall(nodes.math_block)):
            if label := block.get("label"):
                names, target = (label, f"equation; {label}"), nodes.make_id(f"equation-{label}")
                entries = [("single", name, target, "main", None) for name in names]
                block.parent.insert(block.parent.index(block), addnodes.index(entries=entries))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_transform(IndexEquations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
