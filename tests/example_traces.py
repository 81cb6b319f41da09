"""Traces written for the tests: a converging one, a branching one, and others."""

CONVERGING = (
    "The rectangle is 4 cm wide and 9 cm long. Its area is width times length. That is 4 times 9, which is "
    "36. A square with the same area has a side of 6 cm, since 6 times 6 is 36. Its perimeter is 4 times 6, "
    "so 24 cm."
)

BRANCHING = (
    "I could set up an equation for the two trains. Alternatively, think about how fast the gap closes. "
    "The gap closes at 90 km/h. Wait, no, both trains run in the same direction, so that is wrong. "
    "The gap closes at 30 km/h instead. Or maybe the second train starts an hour later? Let me read the "
    "question again. It says both start at noon. Hmm, but then the answer I had cannot be right. Let me "
    "start over. What if I draw a timeline? The first train is 60 km ahead. So it takes two hours."
)

TRACES = [
    CONVERGING,
    BRANCHING,
    "Add the digits: 3 + 5 + 1 = 9. Nine is divisible by 3. So the number is divisible by 3.",
    "Short.",
    "\n".join(f"Line {number}: the running total is {number * 7}." for number in range(1, 120)),
    "Über naïve façade — the text has accents, “quotes”, ½ and √2. It stays English.",
]
