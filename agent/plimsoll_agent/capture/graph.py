"""Retainer chains as a picture: DOT for graphviz and its friends, SVG for any browser, written here so that nothing need be installed.

    shop.orders._seen (dict, 40213 items) --> shop.Order --> bytes
                                         '--> str                        chains that begin alike share their beginning
"""
from html import escape                 # not xml.sax: it takes an HTTP client along, which a re-executed gunicorn cannot import

MOST_CHAINS = 40
ROW, STEP, MARGIN, LETTER, WIDEST = 34, 40, 16, 7.2, 60     # pixels, but for WIDEST: letters of a box


class Node:
    def __init__(self, text):
        self.text, self.children, self.times = text, {}, 0
        self.column, self.row = 0, 0.0


def tree(titles, chains):
    """A root without a text of its own, whose children are what a chain begins with."""
    top = Node("")
    for title, chain in [pair for pair in zip(titles, chains) if pair[1]][:MOST_CHAINS]:
        node = top
        for step in chain.split(" -> "):
            node = node.children.setdefault(step, Node(step))
            node.times += 1
    return top


def _walk(node, parent=None):
    for child in node.children.values():
        yield child, parent
        yield from _walk(child, child)


def dot(top):
    names, text = {}, ["digraph retainers {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for node, parent in _walk(top):
        names[id(node)] = "n%d" % len(names)
        label = node.text.replace("\\", "\\\\").replace('"', '\\"')
        text.append('  %s [label="%s"%s];' % (names[id(node)], label, ", style=bold" if parent is None else ""))
        if parent is not None:
            text.append('  %s -> %s [label="%d"];' % (names[id(parent)], names[id(node)], node.times))
    return "\n".join(text + ["}", ""])


def _place(node, column, row):
    """Leaves one below the other, a parent in the middle of its children. The next free row."""
    node.column = column
    if not node.children:
        node.row = row
        return row + 1
    following = row
    for child in node.children.values():
        following = _place(child, column + 1, following)
    node.row = (row + following - 1) / 2
    return following


def svg(top):
    rows = _place(top, -1, 0)
    nodes = list(_walk(top))
    widths = {}
    for node, _ in nodes:
        widths[node.column] = max(widths.get(node.column, 0), int(min(len(node.text), WIDEST) * LETTER) + 16)
    lefts, left = {}, MARGIN
    for column in sorted(widths):
        lefts[column], left = left, left + widths[column] + STEP
    text = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="monospace" font-size="12">'
            % (max(left - STEP, 0) + MARGIN, rows * ROW + 2 * MARGIN), "<title>What keeps the objects that have grown</title>",
            '<rect width="100%" height="100%" fill="#fff"/>']
    for node, parent in nodes:
        x, y = lefts[node.column], MARGIN + node.row * ROW
        if parent is not None:
            from_x, from_y = lefts[parent.column] + widths[parent.column], MARGIN + parent.row * ROW + 12
            text.append('<path d="M%d %d C%d %d %d %d %d %d" fill="none" stroke="#666"/>'
                        % (from_x, from_y, from_x + STEP / 2, from_y, x - STEP / 2, y + 12, x, y + 12))
    for node, parent in nodes:
        x, y = lefts[node.column], MARGIN + node.row * ROW
        shown = node.text if len(node.text) <= WIDEST else node.text[:WIDEST - 1] + "\u2026"
        text.append('<g><title>%s</title><rect x="%d" y="%d" width="%d" height="24" rx="3" fill="%s" stroke="#333"/><text x="%d" y="%d">%s'
                    "</text></g>" % (escape(node.text), x, y, widths[node.column], "#fde9c8" if parent is None else "#eef3f8", x + 8, y + 16,
                                     escape(shown)))
    return "\n".join(text + ["</svg>", ""])
