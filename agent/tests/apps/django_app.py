import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpResponse
from django.urls import include, path, re_path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test", DEBUG=False)
django.setup()


def answer(request, **values):
    return HttpResponse("ok")


def gone(request, **values):
    raise Http404()


def broken(request, **values):
    raise RuntimeError("the application's own")


urlpatterns = [
    path("orders/", include([path("<int:number>", answer)])),
    re_path(r"^archive/(?P<year>[0-9]{4})/(?:page-(\d+)\.html)?$", answer),
    path("gone/<name>", gone),
    path("broken/<path:name>", broken),
]
app, asgi = get_wsgi_application(), get_asgi_application()
