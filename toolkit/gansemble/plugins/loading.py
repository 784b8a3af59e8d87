"""Finds and loads plugins: installed entry points, allow and deny lists, single files, and what becomes of broken ones.

Two environment variables hold names separated by commas: if ``GANSEMBLE_PLUGINS`` is set, only the installed plugins
that it names are loaded, and those in ``GANSEMBLE_DISABLE`` are not. A plugin that cannot be loaded is recorded with
its traceback, and is an error only for recipes that ask for one of its parts; with ``GANSEMBLE_STRICT=1`` it is an
error at once.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

import pluggy

from gansemble import __version__
from gansemble.errors import PluginError
from gansemble.plugins import hookspecs
from gansemble.plugins.registry import GROUPS, KINDS, Broken, Entry, PluginSource, Registry

GROUP = "gansemble.plugins"
#: Names single-file plugins, so that processes of a process have them, too.
FILES = "GANSEMBLE_PLUGIN_FILES"
#: The other environment variables that decide what is loaded.
_SETTINGS = ("GANSEMBLE_PLUGINS", "GANSEMBLE_DISABLE", "GANSEMBLE_STRICT")


class Plugins:
    """The plugin manager, and the registry that it has filled with the parts of all plugins.

    Args:
        discover: load the plugins that are installed, by their entry points; tests pass False, and :meth:`add_module`
            what they need.
        files: single-file plugins that are loaded for this run only.
    """

    def __init__(self, discover: bool = True, files: Sequence[Path] = ()) -> None:
        self.manager = pluggy.PluginManager("gansemble")
        self.manager.add_hookspecs(hookspecs)
        self.registry = Registry()
        self._origins = _Origins()
        if discover:
            self._discover()
        for path in files:
            self._guard(f"file:{path.name}", partial(self._add_file, path))

    def add_module(self, name: str, plugin: object) -> None:
        """Registers one plugin and all its parts; if anything fails, none of them.

        Args:
            name: by which recipes refer to the plugin.
            plugin: the module, or another object, that implements the hooks.

        Raises:
            PluginError: if the name is taken, the hook ``gansemble_register`` is missing or not marked, another hook is
                misspelt, or a part is not described properly.
        """
        if self.manager.has_plugin(name):
            raise PluginError(f"two plugins are called {name!r}; rename one of the entry points")
        misspelt = _misspelt_hooks(plugin)
        if misspelt:
            raise PluginError(f"{name}: no such hook: {', '.join(misspelt)}; hooks: {', '.join(_hook_names())}")
        if not hasattr(plugin, "gansemble_register"):
            raise PluginError(f"{name}: lacks the required hook gansemble_register(register)")
        if not hasattr(plugin.gansemble_register, "gansemble_impl"):
            raise PluginError(f"{name}: gansemble_register is not marked; write @gansemble.hookimpl above it")
        collected: list[Entry] = []

        def register(
            kind: str,
            part: str,
            target: str,
            summary: str = "",
            example: dict[str, object] | None = None,
            since: str | None = None,
        ) -> None:
            collected.append(Entry(kind, part, target, summary, name, example or {}, since))

        try:
            self.manager.register(plugin, name=name)
            self.manager.subset_hook_caller("gansemble_register", _others(self.manager, plugin))(register=register)
            for entry in collected:
                self.registry.add(entry)
        except Exception:
            self.registry.remove(name)
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            raise

    def _add_file(self, path: Path) -> None:
        module = _module_of(path)
        try:
            self.add_module(path.stem, module)
            others = [name for name in _hook_names() if name != "gansemble_register" and hasattr(module, name)]
            if not others and path.stem not in {entry.plugin for entry in self.registry.entries()}:
                self.manager.unregister(name=path.stem)
                raise PluginError(
                    'it registers nothing; call register(kind, name, "module:Target") in gansemble_register'
                )
        except BaseException:
            del sys.modules[path.stem]  # a name that no plugin has is free for another file
            raise
        self.registry.sources[path.stem] = PluginSource(file=str(path))

    def _add_point(self, point: importlib.metadata.EntryPoint) -> None:
        source = self._origins.source(point)
        _check_core(point, source)
        if self.manager.has_plugin(point.name):
            first, second = (each.distribution for each in (self.registry.sources[point.name], source))
            raise PluginError(
                f"two plugins are called {point.name!r}, one of {first} and one of {second}, which is left out; "
                "rename the entry point of one"
            )
        self.add_module(point.name, point.load())
        self.registry.sources[point.name] = source

    def _add_part(self, entry: Entry, point: importlib.metadata.EntryPoint) -> None:
        source = self._origins.source(point)
        _check_core(point, source)
        self.registry.add(entry)
        self.registry.sources[entry.plugin] = source

    def _discover(self) -> None:
        wanted, refused = _names("GANSEMBLE_PLUGINS"), _names("GANSEMBLE_DISABLE") or set()
        installed, unreadable = installed_points([GROUP, *GROUPS.values()])
        for name, error in unreadable.items():
            self._guard(name, partial(_refuse, error))
        for point in self._origins.once(installed[GROUP]):
            if wanted is not None and point.name not in wanted:
                self.registry.disabled[point.name] = "GANSEMBLE_PLUGINS"
            elif point.name in refused:
                self.registry.disabled[point.name] = "GANSEMBLE_DISABLE"
            else:
                self._guard(point.name, partial(self._add_point, point))
        for kind in KINDS:
            for point in self._origins.once(installed[GROUPS[kind]]):
                plugin = self._origins.source(point).distribution or "unnamed"
                if (wanted is not None and plugin not in wanted) or plugin in refused:
                    self.registry.disabled[plugin] = "GANSEMBLE_PLUGINS or GANSEMBLE_DISABLE"
                    continue
                entry = Entry(kind, point.name, point.value, f"from {plugin}", plugin)
                self._guard(f"{plugin}:{point.name}", partial(self._add_part, entry, point))

    def _guard(self, name: str, load: Callable[[], None]) -> None:
        try:
            load()
        except (Exception, SystemExit) as error:
            if os.environ.get("GANSEMBLE_STRICT") == "1":
                raise
            self.registry.broken[name] = Broken(name, error, traceback.format_exc())


def load() -> Plugins:
    """The plugins of this process: those that are installed, and the single files of :func:`files`.

    They are looked for once for each setting of the environment variables that decide what is loaded.
    """
    return _found(files(), *(os.environ.get(name) for name in _SETTINGS))


@functools.cache
def _found(files: tuple[Path, ...], *settings: str | None) -> Plugins:
    return Plugins(files=files)


def files() -> tuple[Path, ...]:
    """The single-file plugins of this process and of those that it starts: of the environment variable ``FILES``."""
    return tuple(Path(path) for path in os.environ.get(FILES, "").split(os.pathsep) if path)


def add_files(added: Sequence[Path]) -> None:
    """Adds single-file plugins to those of this process and of the processes that it starts from now on.

    Raises:
        PluginError: if one is not there.
    """
    for path in added:
        if not path.is_file():
            raise PluginError(f"--plugin {path}: {_no_file(path)}")
        if os.pathsep in str(path.resolve()):
            raise PluginError(
                f"--plugin {path}: its path must not have {os.pathsep!r} in it, which separates several; rename it"
            )
    known = dict.fromkeys([*added, *files()])
    if known:
        os.environ[FILES] = os.pathsep.join(str(path.resolve()) for path in known)


def demand_files() -> None:
    """Demands that every single-file plugin of this process is loaded: who names a file means to use it.

    Raises:
        PluginError: if one could not be, with the reason and the line.
    """
    for path in files():
        broken = registry().broken.get(f"file:{path.name}")
        if broken is None:
            continue
        lines = [
            frame.lineno for frame in traceback.extract_tb(broken.error.__traceback__) if frame.filename == str(path)
        ]
        if isinstance(broken.error, SyntaxError):
            lines = [broken.error.lineno]
        where = f"{path}:{lines[-1]}" if lines and lines[-1] else str(path)
        said = str(broken.error).removeprefix(f"--plugin {path}: ")
        kind = "" if isinstance(broken.error, PluginError) else f"{type(broken.error).__name__}: "
        raise PluginError(
            f"--plugin {where}: could not be loaded ({kind}{said}); `gansemble --plugin {path} plugins doctor` shows its "
            "traceback"
        ) from broken.error


def registry() -> Registry:
    """The registry of this process's plugins."""
    return load().registry


def _names(variable: str) -> set[str] | None:
    value = os.environ.get(variable)
    return None if value is None else {name.strip() for name in value.split(",") if name.strip()}


def installed_points(
    groups: Iterable[str],
) -> tuple[dict[str, list[importlib.metadata.EntryPoint]], dict[str, Exception]]:
    """The entry points of all that is installed.

    Python itself gives none at all if the file of a single distribution is damaged.

    Args:
        groups: whose are wanted.

    Returns:
        (the entry points by group; why those of a distribution cannot be read, by its name).
    """
    try:
        points = importlib.metadata.entry_points()  # once: every call reads the files of all that is installed
        return {group: list(points.select(group=group)) for group in groups}, {}
    except Exception:
        found: dict[str, list[importlib.metadata.EntryPoint]] = {}
        unreadable: dict[str, Exception] = {}
        for distribution in importlib.metadata.distributions():
            name = repr(distribution)
            try:
                name = distribution.metadata["Name"] or name
                found.setdefault(name, list(distribution.entry_points))  # the first of a name on the path counts
            except Exception as error:
                unreadable[name] = error
        every = [point for each in found.values() for point in each]
        return {group: [point for point in every if point.group == group] for group in groups}, unreadable


def _refuse(error: Exception) -> None:
    raise PluginError(f"its entry points cannot be read ({error}); install it again") from error


class _Origins:
    """The distributions of entry points.

    Python parses all of a distribution's metadata, its README included, whenever it is asked for the name or the
    version, so each distribution is asked once.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[importlib.metadata.Distribution, PluginSource]] = {}

    def source(self, point: importlib.metadata.EntryPoint) -> PluginSource:
        """Where an entry point came from; an empty one if Python found it without a distribution."""
        if point.dist is None:
            return PluginSource()
        if id(point.dist) not in self._known:  # by identity, and kept, so that no other can get the same one
            self._known[id(point.dist)] = point.dist, PluginSource(point.dist.name, point.dist.version)
        return self._known[id(point.dist)][1]

    def once(self, points: Iterable[importlib.metadata.EntryPoint]) -> list[importlib.metadata.EntryPoint]:
        """The entry points of a group, each once: editable installs and stale metadata can list one twice.

        The toolkit's own come first, so that another plugin of the same name cannot take their place.
        """
        seen: dict[tuple[str, str], importlib.metadata.EntryPoint] = {}
        for point in points:
            seen.setdefault((point.name, point.value), point)
        return sorted(
            seen.values(), key=lambda point: (self.source(point).distribution != "gansemble", point.name, point.value)
        )


def _check_core(point: importlib.metadata.EntryPoint, source: PluginSource) -> None:
    """Refuses a plugin whose distribution requires another version of the toolkit."""
    if point.dist is None or source.distribution == "gansemble":
        return
    from packaging.requirements import Requirement

    for line in point.dist.requires or ():
        if not line.replace("_", "-").lower().startswith("gansemble"):
            continue
        wanted = Requirement(line)
        if wanted.name.lower() == "gansemble" and not wanted.specifier.contains(__version__, prereleases=True):
            raise PluginError(
                f"{source.distribution} {source.version} needs gansemble{wanted.specifier}, this is {__version__}; "
                f"upgrade gansemble, or install another version of {source.distribution}"
            )


def _others(manager: pluggy.PluginManager, plugin: object) -> list[object]:
    return [other for other in manager.get_plugins() if other is not plugin]


def _hook_names() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith("gansemble_")]


def _misspelt_hooks(plugin: object) -> list[str]:
    """Names that begin like a hook's and that a plugin has marked as hooks, though no hook has them."""
    known = set(_hook_names())
    return [
        name
        for name in dir(plugin)
        if name.startswith("gansemble_") and name not in known and hasattr(getattr(plugin, name), "gansemble_impl")
    ]


def _module_of(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"--plugin {path}: {_no_file(path)}")
    loaded = getattr(sys.modules.get(path.stem), "__file__", None)
    taken = path.stem in sys.modules and (loaded is None or Path(loaded).resolve() != path.resolve())
    if taken or path.stem in sys.stdlib_module_names:
        raise PluginError(f"--plugin {path}: there is another module called {path.stem!r}; rename the file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"--plugin {path}: expected a Python file ending in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # targets are strings such as "my_plugin:MyLoss"
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _no_file(path: Path) -> str:
    return "is a folder, expected a Python file" if path.is_dir() else "no such file"
