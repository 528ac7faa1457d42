"""Of the theme's launch links, keep those that lead somewhere.

_config.yml names the services, and in ``repository: url`` where they find the notebooks, which is
not known before the book has a host. JupyterLite finds them in the site, if book/publish.py puts
it there; then ``BOOK_LITE=1`` is in the environment.
"""

import os
import re

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

ADDRESS = re.compile(r"https://(github|gitlab)\.com/[\w.-]+/[\w.-]+(?<!\.git)")


def keep_live(app: Sphinx, config: Config) -> None:
    """Drop the theme's links to services that could not find the notebooks."""
    options = config.html_theme_options
    url = options.get("repository_url") or ""
    found = ADDRESS.fullmatch(url)
    if url and not found:
        raise ConfigError(
            "_config.yml, repository, url: expected https://github.com/OWNER/NAME, the same at "
            f"gitlab.com, or nothing; got {url!r}"
        )
    lite = os.environ.get("BOOK_LITE") == "1"
    live = {
        "binderhub_url": found is not None,
        "colab_url": found is not None and found[1] == "github",
        "jupyterlite_url": lite,
    }
    buttons = options["launch_buttons"]
    options["launch_buttons"] = {name: buttons[name] for name in buttons if live.get(name, True)}
    options["use_repository_button"] = found is not None
    if lite and not found:  # the theme looks for a repository even where no link names one
        config.html_context |= {"github_url": "", "github_user": "", "github_repo": ""}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", keep_live)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
