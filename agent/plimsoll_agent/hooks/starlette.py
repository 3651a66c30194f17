"""Starlette, and FastAPI which is made of it: the application lays a note into the scope, the routes on the way write their patterns
on it, and the response's head takes it along. A middleware that copies the scope copies the same note, and an error that becomes a
response far outside of its route still has it."""
from .. import quiet
from . import labels

NOTE = "plimsoll.route"


class Note:
    def __init__(self):
        self.prefix, self.pattern = "", None


def patch_applications(module):
    plain = module.Starlette.__call__

    async def call(self, scope, receive, send):
        note = lay(scope)
        if note is None:
            return await plain(self, scope, receive, send)
        method = scope.get("method")

        async def send_with_label(message):
            add(note, method, message)
            await send(message)
        return await plain(self, scope, receive, send_with_label)
    module.Starlette.__call__ = call


def patch_routing(module):
    for kind, write in ((module.Route, route), (module.Mount, mount)):
        wrap(kind, write)


def patch_fastapi(module):
    """Since 0.140 or so a route of an included router knows its own part of the path only; the whole one is in the scope."""
    whole = getattr(module, "_get_scope_effective_route_context", None)
    if whole is None:
        return

    @quiet.guarded
    def write(self, scope):
        context = whole(scope)
        own = context is None or context.original_route is not self
        if NOTE in scope:
            scope[NOTE].pattern = scope[NOTE].prefix + (self.path if own else context.path)
    wrap(module.APIRoute, write)


def wrap(kind, write):
    plain = kind.handle

    async def handle(self, scope, receive, send):
        write(self, scope)
        await plain(self, scope, receive, send)
    kind.handle = handle


def patch(module):
    if labels.switched_off():
        return
    {"starlette.applications": patch_applications, "starlette.routing": patch_routing,
     "fastapi.routing": patch_fastapi}[module.__name__](module)


@quiet.guarded
def lay(scope):
    """None: no HTTP request, or an application inside another one, whose note is there already."""
    if scope.get("type") != "http" or NOTE in scope:
        return None
    scope[NOTE] = note = Note()
    return note


@quiet.guarded
def mount(self, scope):
    if NOTE in scope:
        scope[NOTE].prefix += self.path


@quiet.guarded
def route(self, scope):
    if NOTE in scope:
        scope[NOTE].pattern = scope[NOTE].prefix + self.path


@quiet.guarded
def add(note, method, message):
    if message.get("type") != "http.response.start":
        return
    text = labels.label(method, note.pattern, labels.brace)
    if text is not None:
        message["headers"] = [*message.get("headers", ()), (labels.HEADER.lower().encode(), text.encode())]
