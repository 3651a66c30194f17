"""Orders. The page of an order was made fast by remembering what had been looked up, a change that passed every review."""
import itertools

from flask import Blueprint, jsonify

from .catalogue import describe

pages = Blueprint("orders", __name__)
lookups = itertools.count()
_recent = {}


class OrderLine:
    def __init__(self, article, count):
        self.article, self.count = article, count
        self.label = "%d x %s" % (count, describe(article)["name"])
        self.price = describe(article)["price"] * count
        self.declaration = "%s; value %d; %s" % (self.label, self.price, describe(article)["text"])


class Order:
    def __init__(self, number):
        self.number = number
        self.lines = [OrderLine((number * 7 + n) % 400, n % 5 + 1) for n in range(60)]

    def total(self):
        return sum(line.price for line in self.lines)


def remember(order):
    _recent[order.number, next(lookups)] = order               # each lookup has a key of its own: nothing is ever found again
    return order


@pages.get("/orders/<int:number>")
def show(number):
    order = remember(Order(number))
    return jsonify(order=number, lines=[line.label for line in order.lines], total=order.total())
