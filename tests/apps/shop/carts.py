"""Carts: what a customer sends is priced and given back; nothing is kept."""
from flask import Blueprint, jsonify, request

from .catalogue import price_of

pages = Blueprint("carts", __name__)


@pages.post("/carts/<int:cart>")
def put(cart):
    wanted = request.get_json()
    return jsonify(cart=cart, lines=len(wanted), total=sum(price_of(line["article"]) * line["count"] for line in wanted))
