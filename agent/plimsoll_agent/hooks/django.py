"""Django: `resolver_match` is on the request once its URL was resolved, whatever the view and the middleware made of it. WSGI and ASGI
handlers have one base each way: get_response and get_response_async."""
from .. import quiet
from . import labels


def patch(module):
    if labels.switched_off():
        return
    handler = module.BaseHandler
    plain, plain_async = handler.get_response, getattr(handler, "get_response_async", None)

    def get_response(self, request):
        response = plain(self, request)
        add(request, response)
        return response
    handler.get_response = get_response

    if plain_async is not None:
        async def get_response_async(self, request):
            response = await plain_async(self, request)
            add(request, response)
            return response
        handler.get_response_async = get_response_async


@quiet.guarded
def add(request, response):
    match = getattr(request, "resolver_match", None)
    text = labels.label(request.method, getattr(match, "route", None), labels.django)
    if text is not None:
        response[labels.HEADER] = text
