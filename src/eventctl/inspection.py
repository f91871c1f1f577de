"""Looks at a cartridge's code without running it: what it imports, what it would do when it is loaded, how it hides what it does.

This finds what is written plainly and the usual ways around that. It is no wall - code can always be written so that nobody sees
what it does - the wall is the worker that it runs in.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_REACHES = {
    "files": "_io builtins dbm fileinput filecmp glob io mmap os pathlib posix posixpath shelve shutil sqlite3 tempfile tokenize",
    "the network": "ftplib http httpx imaplib nntplib poplib requests select selectors smtplib socket socketserver ssl telnetlib "
    "urllib urllib3 webbrowser xmlrpc aiohttp",
    "other programs": "fcntl multiprocessing pexpect platform popen2 pty sh signal subprocess",
    "machine code": "_ctypes cffi ctypes numba",
    "the interpreter itself": "__main__ _imp _thread ast atexit bdb cProfile code codeop dis ensurepip faulthandler gc imp importlib "
    "inspect linecache pdb pip pkg_resources pkgutil pydoc resource runpy setuptools site sys sysconfig threading timeit trace "
    "traceback tracemalloc venv weakref zipimport",
    "code that is hidden in data": "_pickle cloudpickle copyreg dill joblib jsonpickle marshal pickle pickletools plistlib yaml",
    "an event loop of its own": "asyncio anyio concurrent trio",
}
REACHING = {module: what for what, modules in _REACHES.items() for module in modules.split()}
"""Modules that have no place in a cartridge, which never waits for the world, and what each reaches."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PLAIN = _words(
    "__future__ abc array base64 binascii bisect calendar collections colorsys contextlib copy dataclasses datetime decimal difflib "
    "enum eventctl fnmatch fractions functools graphlib hashlib heapq hmac html itertools json keyword math numbers operator orjson "
    "random re statistics string struct textwrap time types typing unicodedata urllib.parse uuid zlib zoneinfo"
)
"""Modules that compute and nothing else. Of eventctl itself only `OFFERED`."""

OFFERED = _words("eventctl eventctl.contracts eventctl.event eventctl.testing")
"""Of eventctl itself: what cartridges are written with. `Workspace` and `open` would open a workspace."""

_OPENING = _words("Executor Workspace hookimpl open")

CHANGING = {
    "random": "a run that is repeated gets other numbers",
    "time": "a run that is repeated sees another time (context.now is the event's), and `sleep` holds everybody up",
    "uuid": "a run that is repeated gets other ids",
}
"""Plain modules that make a repeated run another run, and how."""

_HIDES = {
    "__import__": "imports what nobody can see here",
    "breakpoint": "opens a debugger",
    "compile": "makes code out of text",
    "delattr": "takes things out of other objects",
    "eval": "runs text as code",
    "exec": "runs text as code",
    "globals": "reaches names by text",
    "input": "waits for a person",
    "locals": "reaches names by text",
    "open": "reaches files",
    "setattr": "changes other objects",
    "vars": "reaches names by text",
    "__builtins__": "reaches what Python keeps for itself",
    "__loader__": "reaches what Python keeps for itself",
    "__spec__": "reaches what Python keeps for itself",
}
_INNER = _words(
    "__base__ __bases__ __builtins__ __closure__ __code__ __dict__ __func__ __getattribute__ __globals__ __import__ __loader__ "
    "__mro__ __reduce__ __reduce_ex__ __self__ __subclasses__ __wrapped__ cr_frame f_back f_builtins f_globals f_locals gi_frame "
    "tb_frame ag_frame"
)
"""Attributes that lead from any object to everything that Python has loaded."""

_LEADING = _words("_io _thread builtins ctypes gc importlib io marshal os pickle posix socket subprocess sys")
"""Modules that plain ones have as attributes: `dataclasses.sys` is `sys`."""

_MAKING = _words(
    "abs bool bytes classmethod complex dict divmod enumerate float frozenset int len list map max min object pow property range "
    "reversed round set slice sorted staticmethod str sum tuple type zip"
)

_Block = tuple[ast.stmt, ...] | list[ast.stmt]


class Sight(NamedTuple):
    """What was seen, each as (line, sentence or name). `imports` are full names, sorted.

    `hiding` is what hides what the code does, `doing` what it would do when it is loaded; `calling` calls things of its own then,
    which may do anything. `size` is the code's, in bytes.
    """

    imports: tuple[str, ...] = ()
    hiding: tuple[tuple[int, str], ...] = ()
    doing: tuple[tuple[int, str], ...] = ()
    calling: tuple[tuple[int, str], ...] = ()
    size: int = 0


def look(code: bytes) -> Sight:
    """What there is to see in the code. Raises nothing for code that `package.of` let through; what cannot be parsed shows nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Sight()
    imports = _imports(tree)
    loading = _Loading(tree)
    return Sight(
        tuple(sorted({name for names in imports for name in names})),
        tuple(dict.fromkeys(_hiding(tree))),
        tuple(dict.fromkeys(loading.doing)),
        tuple(dict.fromkeys(loading.calling)),
        len(code),
    )


def reach(name: str) -> str | None:
    """What the import of this full name reaches, "" for a plain one, None for one that is not known here."""
    parts = name.split(".")
    if parts[0] == "eventctl":
        inside = ".".join(parts[:2])
        named = len(parts) == 2 and parts[1][:1].isupper() and parts[1] not in _OPENING
        return "" if inside in OFFERED or named else "the inside of eventctl"
    for end in range(len(parts), 0, -1):
        front = ".".join(parts[:end])
        if front in PLAIN:
            hidden = next((part for part in parts[end:] if part in REACHING), None)
            return "" if hidden is None else REACHING[hidden]
        if front in REACHING:
            return REACHING[front]
    return None


def _imports(tree: ast.AST) -> Iterator[list[str]]:
    """Full names of what is imported, and of what is reached through it: `urllib.request` after `import urllib.parse`."""
    called: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield [alias.name for alias in node.names]
            called |= {alias.asname or alias.name.partition(".")[0]: alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            front = "." * node.level + (node.module or "")
            yield [f"{front}.{alias.name}" for alias in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in called:
            name = f"{called[node.value.id]}.{node.attr}"
            yield [name] if reach(name) else []


def _hiding(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _HIDES and isinstance(node.ctx, ast.Load):
            yield node.lineno, f"`{node.id}` {_HIDES[node.id]}"
        elif isinstance(node, ast.Attribute) and (node.attr in _INNER or node.attr in _LEADING):
            what = "everything that Python has loaded" if node.attr in _INNER else REACHING[node.attr]
            yield node.lineno, f"`.{node.attr}` reaches {what}"
        elif isinstance(node, ast.Name) and node.id == "getattr":
            yield node.lineno, "`getattr` reaches attributes by text"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "__" in node.value:
            found = next((name for name in sorted(_INNER) if name.startswith("__") and name in node.value), None)
            if found:
                yield node.lineno, f"the text {found!r} names what leads to everything that Python has loaded"


class _Loading:
    """What runs when the module is loaded: everything but the bodies of functions."""

    def __init__(self, tree: ast.Module) -> None:
        self.doing: list[tuple[int, str]] = []
        self.calling: list[tuple[int, str]] = []
        self._plain: set[str] = set()
        self._own: set[str] = set()
        self._bound(tree.body)
        self._block(tree.body)

    def _bound(self, body: Iterable[ast.stmt]) -> None:
        """Names that the module gives itself: of plain modules, or of its own."""
        for node in body:
            if isinstance(node, ast.Import):
                self._plain |= {alias.asname or alias.name.partition(".")[0] for alias in node.names if reach(alias.name) == ""}
            elif isinstance(node, ast.ImportFrom):
                plain = {alias.asname or alias.name for alias in node.names if reach(f"{node.module}.{alias.name}") == ""}
                self._plain |= plain
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._own.add(node.name)
            elif isinstance(node, ast.If | ast.Try):
                self._bound([inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)])
            else:
                targets = (
                    inner for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
                )
                self._own |= {target.id for target in targets}

    def _block(self, body: Iterable[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._function(node)
            elif isinstance(node, ast.ClassDef):
                self._decorators(node)
                self._expressions([*node.bases, *node.keywords])
                self._block(node.body)
            elif isinstance(node, ast.If):
                self._expressions([node.test])
                self._block([*node.body, *node.orelse])
            elif isinstance(node, ast.Try):
                self._block([*node.body, *node.orelse, *node.finalbody])
                for handler in node.handlers:
                    self._block(handler.body)
            elif isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign):
                self._expressions([node])
            elif not isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
                self.doing.append((node.lineno, f"a statement ({type(node).__name__.lower()}) runs"))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._decorators(node)
        self._expressions([*node.args.defaults, *(default for default in node.args.kw_defaults if default)])

    def _decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                self._expressions([decorator])
            else:
                self._called(decorator)

    def _expressions(self, nodes: Iterable[ast.AST]) -> None:
        todo = list(nodes)
        while todo:
            node = todo.pop()
            if isinstance(node, ast.Lambda):
                todo += [*node.args.defaults, *(default for default in node.args.kw_defaults if default)]
                continue
            if isinstance(node, ast.Call):
                self._called(node.func)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
                self.calling.append((node.lineno, "a power may take for ever to compute"))
            todo += ast.iter_child_nodes(node)

    def _called(self, function: ast.expr) -> None:
        """A call when the module is loaded: of what makes values, of its own, or of what does something."""
        root = function
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if isinstance(root, ast.Call | ast.Constant | ast.JoinedStr | ast.List | ast.Dict | ast.Set | ast.Tuple):
            return  # what makes it is looked at by itself
        name = root.id if isinstance(root, ast.Name) else ""
        if name in self._own:
            self.calling.append((function.lineno, f"`{name}` is called"))
        elif name not in self._plain and not (name in _MAKING and root is function):
            self.doing.append((function.lineno, f"`{name or 'something'}` is called"))
