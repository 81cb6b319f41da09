"""The words in which the divergent teacher leaves a line.

Written for the study alone: no labelling function was made from this file, and none may be. Placeholders:
`line` a calculation, `first` and `last` the first and the last number, `total` the total so far.
"""

from typing import Final

ALTERNATIVES: Final = (
    "Perhaps the order can be turned around: {line}.",
    "Alternatively, take the numbers from the right: {line}.",
    "Another way would be to pair them up: {line}.",
    "Maybe it is neater to gather what is added: {line}.",
    "What if the last number goes first: {line}?",
    "Or I could pull out what has a plus in front: {line}.",
    "One could equally well put the far ends together: {line}.",
    "There is also the road through the big numbers: {line}.",
    "A shortcut may be hiding at the end: {line}.",
    "Suppose we bring {last} forward instead: {line}.",
    "Then again, the sum can be folded in the middle: {line}.",
    "It is tempting to join two of the later numbers: {line}.",
    "Some people would bundle the tail of the chain: {line}.",
    "How about beginning from {last} for a change: {line}?",
    "I could also keep two piles, one of pluses and one of minuses: {line}.",
    "Let us flirt with a rearrangement: {line}.",
    "Rather than going on like this, merge a pair: {line}.",
    "A second plan comes to mind, starting from the tail: {line}.",
    "Rounding could be kinder here: {line}.",
    "Now I am drawn to the outer numbers: {line}.",
)
"""Each opens a line beside the one that is being followed."""

ABANDONMENTS: Final = (
    "But that does not lead anywhere useful, so I leave it.",
    "No, that only shuffles the signs about.",
    "Wait, the minus would go astray that way.",
    "Hmm, that is more work than it saves.",
    "That road gets longer the further I look, so I put it down.",
    "I would lose count of the signs there, so away with it.",
    "This buys nothing; I drop it.",
    "It leaves more loose ends than it ties up, so I let it go.",
    "I see no gain in it and turn round.",
    "Too fiddly, I would rather have the plain chain.",
    "The signs get tangled there, so that was a poor thought.",
    "That piece would have to be undone later, so it is out.",
    "Nothing comes of that, and I return to {total}.",
    "I shelve this, since {total} was a fine place to go on from.",
    "It turns out to be a detour, and I cut it off.",
    "I scrap that piece and pick up {total} where I left it.",
)
"""Each gives up the line that was just opened."""

CORRECTIONS: Final = (
    "Wait, that is wrong.",
    "No, that cannot be.",
    "Hold on, I misread a digit.",
    "I made a mistake there.",
    "That came out off by a bit, my carry slipped.",
    "The digits do not add up like that.",
    "I was careless with the units there.",
    "Oops, one ten went missing.",
    "My hand ran ahead of my head, that value is off.",
    "This figure is not what the two numbers give.",
    "I mixed up the sign there, so strike it.",
    "A digit got swapped in that line.",
    "That looks too far from {total}, so it goes.",
    "Sloppy of me, the units say something else.",
    "I have to take that figure back.",
    "Counting on from {total} shows this value to be false.",
)
"""Each takes back a value that was just worked out."""

RESTARTS: Final = (
    "Let me check the chain again from {first}.",
    "Let me start over from {first}.",
    "I will verify the part so far once more.",
    "Back to the beginning, at {first}.",
    "Once more from the top, beginning at {first}.",
    "I walk through what I have a second time, out of caution.",
    "To be safe I redo the stretch up to here.",
    "I trace my steps again from {first}.",
    "Rewind: {first} was where it began.",
    "I go over the whole thing anew.",
    "Same numbers, fresh run, from {first}.",
    "I do not quite trust {total}, so the chain gets run again.",
    "For peace of mind, all of it again from {first}.",
    "I recount everything up to {total}.",
    "Before going on, the earlier part is gone through again.",
    "I read the chain from its head again.",
)
"""Each goes back to redo what was settled."""

LOOKING_AHEAD: Final = (
    "Let us see.",
    "The chain mixes pluses and minuses.",
    "There are a few terms to get through.",
    "Nothing here is hard, it only wants care.",
    "Okay, the numbers are small enough.",
)
"""Sentences without a departure that the divergent teacher may begin with."""
