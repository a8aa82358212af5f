"""PLAN: write down every link that has to be made, before the first one is."""

from __future__ import annotations

from cya.archive.inspect import Batch
from cya.archive.records import Link, Plan
from cya.catalog import Catalog
from cya.errors import BatchRefused
from cya.format.collection import FileSet
from cya.tree import layout, placement
from cya.tree.chain import Increment
from cya.tree.placement import Serving


def plan(batch: Batch, serving: Serving, catalog: Catalog) -> Plan:
    """Return the plan for a batch. Older files come from committed directories only, never from the client's."""
    links: list[Link] = []
    for place in placement.commit(serving, batch.increment):
        for increment in place.increments:
            if increment == batch.increment:
                source, files = None, batch.files
            else:
                if serving.base is None:
                    raise ValueError("older increments without a base")
                source, files = layout.directory(serving.base), catalog[serving.base].sets[increment]
            links.append(Link(layout.directory(place.period), source, tuple(n.decode() for n in manifest_last(files))))
    return Plan(batch.increment.start, batch.increment.end, tuple(links))


def check_new(increment: Increment, catalog: Catalog, now: int) -> None:
    """Check that an increment comes after all that lies where it has to go: none of its names is taken there.

    What was served makes sure of that, but for a full where nothing was served, as after damage.

    :param now: the archive's clock; what ends after it was made under a clock that ran wild.
    :raises BatchRefused: when it does not.
    """
    known = {i for directory in catalog.directories for i in directory.sets}
    latest = max((i.end for i in known if i.end <= now), default=None)
    if increment in known or (latest is not None and increment.end <= latest):
        raise BatchRefused("it does not end after the backups that are there already; set the client's clock (NTP)")


def still_there(serving: Serving, catalog: Catalog) -> bool:
    """Tell whether the chain that was served is whole in its base. An administrator may have deleted it since."""
    if serving.chain is None or serving.base is None:
        return True
    return set(serving.chain.increments) <= set(catalog.tree.get(serving.base, ()))


def manifest_last(files: FileSet) -> list[bytes]:
    """Return the names so that whoever looks at a directory half linked takes no increment for whole that is not."""
    volumes = [files.volumes[number] for number in sorted(files.volumes)]
    return volumes + [name for name in (files.sigtar, files.manifest) if name is not None]
