"""What an ORM made deep within itself, and the application keeps: it is the application's line, with the frames that are kept by default."""
import json
import os
import subprocess

import pytest

import venvs

AGENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DRIVER = """
import json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import shop
from plimsoll_agent.capture import lines, trace
for key in range(100):
    shop.view(key)
trace.start(*map(int, sys.argv[3:]))
for key in range(100, 300):
    shop.view(key)
taken = trace.stop()
rows, _ = trace.analyse(taken.traces, 20, taken.held, taken.limit)
kept = sum(row["bytes"] for row in rows if row["replaced"] <= row["added"]) / 200
lines.reconcile(rows, 200, 0.9 * kept, 1.1 * kept)
print(json.dumps({"rows": rows, "kept": kept, "cut": lines.are_cut(rows, 0.9 * kept)}))
"""
SQLALCHEMY = """
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
class Base(DeclarativeBase):
    pass
class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
class Order(Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer] = relationship()
engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all(Order(id=key, note="note %d" % key * 20, customer=Customer(id=key, name="name %d" % key)) for key in range(300))
    session.commit()
seen = []
def view(key):
    with Session(engine) as session:
        order = session.get(Order, key)                 #~
        name = order.customer.name                      #~
        seen.append(order)                              #~
        return name
"""
DJANGO = """
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from django.db import connection, models
class Order(models.Model):
    note = models.CharField(max_length=500)
    class Meta:
        app_label = "shop"
with connection.schema_editor() as editor:
    editor.create_model(Order)
Order.objects.bulk_create(Order(id=key, note="note %d" % key * 20) for key in range(300))
by_key = {}
def view(key):
    by_key[key, "order"] = Order.objects.get(pk=key)    #~
"""


def told(tmp_path, text, *frames):
    (tmp_path / "shop.py").write_text(text)
    run = subprocess.run([venvs.python_of("frameworks"), "-c", DRIVER, AGENT, str(tmp_path), *frames], stdout=subprocess.PIPE, check=True,
                         universal_newlines=True)
    return json.loads(run.stdout)


@pytest.mark.skipif(not venvs.made("frameworks"), reason="no environment with the frameworks")
@pytest.mark.parametrize("text", [SQLALCHEMY, DJANGO], ids=["sqlalchemy", "django"])
def test_a_line_of_the_application_explains_what_an_orm_made(text, tmp_path):
    found = told(tmp_path, text)
    true = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("#~")]
    claimed = [row for row in found["rows"] if row["claimed"]]
    assert claimed and claimed[0]["file"].endswith("shop.py") and claimed[0]["line"] in true, found["rows"]
    assert all(row["file"].endswith("shop.py") for row in claimed)
    assert sum(row["bytes_per_request"] for row in claimed) > 0.8 * found["kept"] and not found["cut"]


@pytest.mark.skipif(not venvs.made("frameworks"), reason="no environment with the frameworks")
@pytest.mark.parametrize("text", [SQLALCHEMY, DJANGO], ids=["sqlalchemy", "django"])
def test_too_few_frames_blame_no_library(text, tmp_path):
    found = told(tmp_path, text, "4")
    assert found["cut"] and not [row for row in found["rows"] if row["claimed"] and not row["file"].endswith("shop.py")]
