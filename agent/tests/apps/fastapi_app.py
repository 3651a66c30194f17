import fastapi
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

app = fastapi.FastAPI()
orders = fastapi.APIRouter(prefix="/orders")


@orders.get("/{number}")
@orders.post("/{number}")
async def order(number: int):
    return number


@app.get("/gone/{name}")
def gone(name: str):
    raise fastapi.HTTPException(410)


@app.get("/broken/{name:path}")
async def broken(name: str):
    raise RuntimeError("the application's own")


async def page(request):
    return PlainTextResponse("page")

app.include_router(orders)
app.mount("/admin", Starlette(routes=[Mount("/pages", routes=[Route("/{slug:str}", page)])]))
