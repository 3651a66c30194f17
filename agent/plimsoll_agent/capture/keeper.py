"""Whose line it is: the one that keeps what was allocated, not the helper that made it and handed it on.

    blob() at `return text[:n]`  -->  read() at `data = blob(key)`, later `return data`  -->  remember() at `seen.append(read(key))`: stays

A helper is called from everywhere, and most of what it makes is let go of. So a frame is left for its caller where its statement
returns the value, yields it, or gives it a local name that is returned later and stored nowhere. A constructor hands on what it
stores in its own instance; a function under a decorator that caches keeps what it returns. A call that gets what was built as an argument
(`cache.set(key, build(key))`) keeps it, where it is known to; of another call (`handle(build(key))`) that is only supposed while nothing
further in could have kept it, and not at all of one that is known to let go of it. Of a name that is given to a call (`check(page)`) only
calls that are known to keep do; where the name is returned as well and no caller stores it either, the call may be the one. Judged by
the source alone: where it cannot be read or parsed, the frame stays. `compile` to a tree needs no module that the worker has not
imported.
"""
import _ast

LARGEST = 400000                            # bytes of a source file: to parse a larger one holds the interpreter for too long
MOST_FILES = 40
ONLY_AST = 0x400
SCALAR = ("len", "bool", "int", "float", "hash", "id", "sum", "any", "all", "ord", "isinstance", "repr", "str")
KEEPS, MAY_KEEP, HANDS_ON, DROPS = "keeps", "may keep", "hands on", "drops"
FUNCTIONS = (_ast.FunctionDef, _ast.AsyncFunctionDef)
CONSTRUCTORS = ("__init__", "__new__", "__post_init__", "__attrs_post_init__")
DROPPING = frozenset(SCALAR + ("print", "format", "issubclass", "callable", "type", "min", "max", "sorted", "dumps", "dump", "write", "writelines",
                               "sendall", "join", "log", "debug", "info", "warning", "warn", "error", "exception", "critical", "set", "list", "tuple",
                               "dict", "next", "close"))
SENDING = frozenset(("send", "publish", "emit", "ack", "reply", "respond", "finish", "exit", "_exit", "run"))      # as a statement, which has no result
STARTING = ("submit", "create_task", "ensure_future", "run_in_executor", "call_soon", "call_later", "start_soon", "apply_async", "spawn")
PLAIN = frozenset(STARTING + ("register", "subscribe", "save", "store", "push", "cache", "memoize", "remember", "enqueue", "heappush", "insort", "setattr",
                              "finalize"))
STORING = PLAIN | {
    "setdefault", "append", "appendleft", "add", "put", "put_nowait", "insert", "update", "extend", "connect", "set", "set_many", "addHandler",
    "addFilter", "add_done_callback", "add_callback", "add_listener", "addListener", "on", "attach", "__setitem__"}


class Sources:
    """Parsed files of one analysis."""

    def __init__(self):
        self._trees, self._answers = {}, {}

    def verdict(self, file, line):
        """KEEPS, HANDS_ON or DROPS what the call or the allocation at this line gives; MAY_KEEP where that is given to a call of which
        nothing is known."""
        return self._answer(Sources._judge, file, line, KEEPS)

    def storing(self, file, line):
        """The line that stores away what this one got from a callee and gave a local name; else this one."""
        return self._answer(Sources._find_storing, file, line, line)

    def is_doubtful(self, file, line):
        """Of a frame that hands on a local name: it has given it to a call of which nothing is known, too (`register_it(session)`)."""
        return self._answer(Sources._is_doubtful, file, line, False)

    def lets_go(self, file, line):
        """What it got is a local name's that nothing stores: it is kept here only while the function runs."""
        return self._answer(Sources._lets_go, file, line, False)

    def _answer(self, judge, file, line, otherwise):
        """Thousands of stacks go through the same lines, and each question walks through a function."""
        key = judge, file, line
        if key not in self._answers:
            try:
                self._answers[key] = judge(self, file, line)
            except RecursionError:          # an expression as deep as generated code has it
                self._answers[key] = otherwise
        return self._answers[key]

    def _find_storing(self, file, line):
        function, names, statement = self._local(file, line)
        if not names or not isinstance(statement.value, (_ast.Call, _ast.Await)):
            return line
        later = [found for found in storing_nodes(function, names, statement) if found.lineno > line]
        return min((found.lineno for found in later), default=line)

    def _is_doubtful(self, file, line):
        function, names, statement = self._local(file, line)
        return bool(names) and any(is_given(node, names) for node in within_body(function))

    def _lets_go(self, file, line):
        function, names, statement = self._local(file, line)
        return bool(names) and not is_stored(function, names, statement) and not is_closed_over(function, names)

    def _local(self, file, line):
        tree = self._trees.get(file)
        function, statement = locate(tree, line) if tree is not None else (None, None)
        if function is None or not isinstance(statement, (_ast.Assign, _ast.AnnAssign)):
            return function, set(), statement
        targets = statement.targets if isinstance(statement, _ast.Assign) else [statement.target]
        names = {target.id for target in targets if isinstance(target, _ast.Name)} - outside(function)
        return function, names if len(names) == len(targets) else set(), statement

    def _judge(self, file, line):
        if file not in self._trees:
            self._trees[file] = parse(file) if len(self._trees) < MOST_FILES else None
        tree = self._trees[file]
        if tree is None:
            return KEEPS
        function, statement = locate(tree, line)
        if function is None or statement is None:
            return KEEPS
        if is_handed_on(function, statement):
            return HANDS_ON
        call = statement.value if isinstance(statement, _ast.Expr) else None
        if isinstance(call, _ast.Await):
            call = call.value               # await self.app(scope, receive, send)
        return keeping(call) if isinstance(call, _ast.Call) else KEEPS


def parse(file):
    try:
        with open(file, "rb") as text:
            source = text.read(LARGEST + 1)
        return compile(source, file, "exec", ONLY_AST, dont_inherit=True) if len(source) <= LARGEST else None
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def children(node):
    for name in node._fields:
        value = getattr(node, name, None)
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, _ast.AST):
                yield each


def within(node):
    """The node and all below it, without the functions and classes that are defined there."""
    waiting = [] if isinstance(node, FUNCTIONS + (_ast.ClassDef,)) else [node]
    while waiting:
        each = waiting.pop()
        yield each
        waiting.extend(child for child in children(each) if not isinstance(child, FUNCTIONS + (_ast.ClassDef, _ast.Lambda)))


def locate(tree, line):
    """The innermost function around a line, and the innermost statement of it there."""
    function = statement = None
    node = tree
    while node is not None:
        following = None
        for child in children(node):
            if getattr(child, "lineno", line + 1) <= line <= (getattr(child, "end_lineno", None) or child.lineno):
                following = child
                break
            if not hasattr(child, "lineno") and spans(child, line):        # match_case, withitem and the like
                following = child
                break
        if isinstance(following, FUNCTIONS) and line >= following.body[0].lineno:
            function, statement = following, None
        elif isinstance(following, _ast.stmt):
            statement = following
        node = following
    return function, statement


def spans(node, line):
    return any(getattr(child, "lineno", line + 1) <= line <= (getattr(child, "end_lineno", None) or 0) for child in children(node))


def is_handed_on(function, statement):
    if any("cache" in name or "memo" in name for decorator in function.decorator_list for name in names_in(decorator)):
        return False
    if isinstance(statement, _ast.Return):
        return not stores(statement.value)
    if isinstance(statement, _ast.Expr) and isinstance(statement.value, (_ast.Yield, _ast.YieldFrom)):
        return True
    if isinstance(statement, (_ast.Assign, _ast.AnnAssign, _ast.AugAssign)):
        targets = statement.targets if isinstance(statement, _ast.Assign) else [statement.target]
    elif isinstance(statement, _ast.Expr) and is_storing(statement.value) and isinstance(receiver(statement.value), _ast.Name):
        targets = [receiver(statement.value)]              # rows.append(...) of a local list
    else:
        return False
    if function.name in CONSTRUCTORS and all(is_own_attribute(function, target) for target in targets):
        return True
    names = {target.id for target in targets if isinstance(target, _ast.Name)}
    if len(names) < len(targets) or names & outside(function):
        return False
    return is_returned(function, names) and not is_stored(function, names, statement)


def names_in(node):
    for each in within(node):
        if isinstance(each, _ast.Name):
            yield each.id.lower()
        elif isinstance(each, _ast.Attribute):
            yield each.attr.lower()


def called(call):
    return getattr(call.func, "attr", None) or getattr(call.func, "id", None)


def receiver(call):
    return getattr(call.func, "value", None)


def handed_over(call):
    """Its arguments."""
    return [argument.value if isinstance(argument, (_ast.Starred, _ast.keyword)) else argument for argument in call.args + call.keywords]


def is_storing(node):
    """By its name: `jobs.put(page)`, `push(page)`; but `set(page)` makes a set, `add(1, 2)` a sum, and `ready.set()` gets nothing."""
    return isinstance(node, _ast.Call) and called(node) in (STORING if isinstance(node.func, _ast.Attribute) else PLAIN) and bool(handed_over(node))


def keeping(call):
    """Of a statement's call: it stores, or is given what another call has built and may keep it, or lets go of it."""
    if is_storing(call):
        return KEEPS
    return MAY_KEEP if not is_dropping(call) and any(is_built(argument) for argument in handed_over(call)) else DROPS


def is_dropping(call):
    name = called(call)
    return name in DROPPING or name in SENDING or name is not None and name.startswith("send_")


def is_built(value):
    """A call within it gives something of which more than a number or a text of it is left."""
    if isinstance(value, _ast.Call) and called(value) in DROPPING:
        return False
    return isinstance(value, _ast.Call) or not isinstance(value, FUNCTIONS + (_ast.Lambda, _ast.Compare)) and any(map(is_built, children(value)))


def stores(value):
    """`return seen.setdefault(key, make())` keeps, and of `return len(make())` only a number gets out. A task that is returned is its
    caller's."""
    return value is not None and (is_storing(value) and called(value) not in STARTING or isinstance(value, _ast.Call)
                                  and isinstance(value.func, _ast.Name) and value.func.id in SCALAR)


def is_own_attribute(function, target):
    first = function.args.args[0].arg if function.args.args else None
    return isinstance(target, _ast.Attribute) and isinstance(target.value, _ast.Name) and target.value.id == first


def outside(function):
    """Names of a function that are not its own."""
    found = set()
    for node in within_body(function):
        if isinstance(node, (_ast.Global, _ast.Nonlocal)):
            found.update(node.names)
    assigned = {node.id for node in within_body(function) if isinstance(node, _ast.Name) and isinstance(node.ctx, _ast.Store)}
    used = {node.id for node in within_body(function) if isinstance(node, _ast.Name)}
    return found | (used - assigned)


def within_body(function):
    for statement in function.body:
        yield from within(statement)


def result_names(value):
    """Names whose very object a returned value has in it."""
    if isinstance(value, _ast.Name):
        return {value.id}
    if isinstance(value, (_ast.Tuple, _ast.List)):
        return set().union(*map(result_names, value.elts)) if value.elts else set()
    if isinstance(value, _ast.IfExp):
        return result_names(value.body) | result_names(value.orelse)
    if isinstance(value, (_ast.Subscript, _ast.Await)):
        return result_names(value.value)
    return set()


def is_returned(function, names):
    return any(names & result_names(node.value) for node in within_body(function)
               if isinstance(node, (_ast.Return, _ast.Yield)) and node.value is not None)


def is_stored(function, names, besides):
    """Into an attribute, an item, or by a method that stores: of something that is not one of the names themselves."""
    return any(True for _ in storing_nodes(function, names, besides))


def storing_nodes(function, names, besides):
    for node in within_body(function):
        if isinstance(node, _ast.Assign) and node is not besides:
            elsewhere = any(isinstance(target, (_ast.Attribute, _ast.Subscript)) and not names & set(roots(target)) for target in node.targets)
            if elsewhere and names & result_names(node.value):
                yield node
        if is_storing(node) and not names & set(roots(receiver(node))) and any(names & result_names(each) for each in handed_over(node)):
            yield node


def is_given(node, names):
    """To a call as a statement that neither is known to let go nor has the name as its own receiver."""
    call = node.value if isinstance(node, _ast.Expr) else None
    call = call.value if isinstance(call, _ast.Await) else call
    return (isinstance(call, _ast.Call) and not is_dropping(call) and not names & set(roots(receiver(call)))
            and any(names & result_names(each) for each in handed_over(call)))


def is_closed_over(function, names):
    """A function or a class that is defined within it uses one of them."""
    waiting = [(each, False) for each in function.body]
    while waiting:
        node, inner = waiting.pop()
        if inner and isinstance(node, _ast.Name) and node.id in names:
            return True
        inner = inner or isinstance(node, FUNCTIONS + (_ast.ClassDef, _ast.Lambda))
        waiting.extend((child, inner) for child in children(node))
    return False


def roots(target):
    while isinstance(target, (_ast.Attribute, _ast.Subscript)):
        target = target.value
    return [target.id] if isinstance(target, _ast.Name) else []
