"""Examples of our own for every labelling function: what it catches and what it leaves.

An example is a run of steps joined by " | "; the function is asked about the last. `@calm`, `@restless` and
`@concluded` stand for the passages below.
"""

PASSAGES = {
    "@calm": [
        "The orchard has six rows of pear trees.",
        "Each row holds eleven trees.",
        "A tree yields forty pears.",
        "The crates are made of pine.",
        "One crate takes eighty pears.",
        "A cart carries nine crates.",
        "The cart leaves at seven.",
        "The road is two miles long.",
        "A mule walks three miles an hour.",
        "The market opens at eight.",
        "Pears cost four pence each.",
        "The baker buys thirty pears.",
        "The innkeeper buys fifty pears.",
    ],
    "@restless": [
        "The vase stood on the sill.",
        "Maybe the cat knocked it over.",
        "But the cat was not indoors.",
        "Perhaps a gust did it.",
        "No, the window was shut.",
        "Maybe the maid moved it.",
        "That cannot be her habit.",
        "Perhaps the shelf tilted.",
        "But the shelf is not loose.",
        "Maybe the clock shook it.",
        "No, the clock was wound down.",
        "Perhaps a child ran past.",
        "But no child was about.",
        "Maybe the tide shook the house.",
        "No, the sea is far off.",
    ],
    "@concluded": [
        "The well is thirty feet deep.",
        "A bucket rises two feet a turn.",
        "Therefore the rope needs fifteen turns.",
        "So the answer is fifteen turns.",
        "Thus the winch is slow.",
        "A second winch turns faster.",
        "It has a wider drum.",
        "The drum measures four feet.",
        "The handle is made of ash.",
        "The chain weighs six pounds.",
        "The pulley squeaks in winter.",
        "Grease keeps it quiet.",
        "The roof is tiled.",
    ],
}

EXAMPLES: dict[str, tuple[list[str], list[str]]] = {
    # alternative
    "opens_with_alternatively": (
        ["Alternatively, we could count the corners.", "Alternative reading: the jar is empty."],
        ["The alternative route is closed in winter."],
    ),
    "names_another_line": (
        ["Another idea: weigh the jars in pairs.", "Or another way would be to weigh all the jars in pairs."],
        ["Another idea.", "There was another lantern on the shelf of the shed."],
    ),
    "opens_with_maybe_amid_guesses": (
        ["@restless | Maybe the frame was brittle."],
        ["@calm | Maybe the frame was brittle.", "@restless | So maybe the frame was brittle."],
    ),
    "opens_with_maybe_later": (
        ["@calm | Perhaps the toll is meant for the carts only."],
        [
            "Perhaps the toll is meant for the carts only.",
            "@calm | Perhaps I am missing a toll on some cart.",
        ],
    ),
    "opens_with_wait_maybe": (
        ["Wait, maybe the toll counts each wheel."],
        ["Wait, the toll counts each wheel.", "Wait, maybe not."],
    ),
    "opens_with_but_maybe": (
        ["But perhaps the toll counts each wheel."],
        ["But the toll counts each wheel.", "But perhaps not."],
    ),
    "opens_with_or": (["Or the miller kept the flour."], ["The miller or his son kept the flour."]),
    "opens_with_unless": (["Unless the bridge was shut."], ["The cart crosses unless the bridge is shut."]),
    "asks_what_if": (["What if both ferries sail at once?"], ["What does the ferry carry?"]),
    "asks_with_a_hedge": (
        ["@calm | Is the toll perhaps paid twice?"],
        ["@calm | Is the toll paid twice?", "Is the toll perhaps paid twice?"],
    ),
    "floats_a_candidate": (["@restless | A hammer?"], ["@calm | A hammer?", "@restless | A hammer."]),
    "suspects_a_trick": (
        ["@calm | But maybe it is a play on words."],
        ["@calm | It is not a play on words.", "But maybe it is a play on words."],
    ),
    "reads_the_question_otherwise": (
        ["@calm | The user might mean the outer wall."],
        ["The user might mean the outer wall.", "@calm | The user paints the outer wall."],
    ),
    "mentions_other_readings": (
        ["@calm | Some people would count the ridge as well.", "@calm | The rule can be read as a limit."],
        ["@calm | - Some people would count the ridge as well."],
    ),
    "says_it_might_be": (
        ["But it might be the weight of the empty barrel."],
        ["But it might be.", "It is the weight of the empty barrel."],
    ),
    "recalls_a_candidate": (
        ["@restless | I recall a similar puzzle with five vases."],
        ["I recall a similar puzzle with five vases."],
    ),
    "has_second_thoughts": (["On second thought, the kettle is copper."], ["The second thought was sound."]),
    "names_a_further_option": (
        ["@calm | We could simply hire a second mule."],
        ["@calm | We could also hire a second mule.", "@calm | So we could simply hire a second mule."],
    ),
    "notes_a_simpler_option": (
        ["@calm | Simpler: store the pears by weight."],
        ["@calm | A simpler store would hold the pears."],
    ),
    "wonders_about_a_candidate": (
        ["@calm | I wonder whether the mule is lame."],
        ["I wonder whether the mule is lame.", "@calm | The farmer pats the mule."],
    ),
    "does_something_instead": (
        ["@calm | Sell the plums instead of the pears?"],
        ["@calm | So sell the plums instead of the pears?", "@calm | He sold plums instead of pears."],
    ),
    "proposes_after_a_rejection": (
        ["No, it rusts. | Perhaps the hinge is brass."],
        ["The hinge holds. | Perhaps the hinge is brass."],
    ),
    "guesses_amid_guesses": (
        ["@restless | The plinth could be cracked."],
        ["@calm | The plinth could be cracked.", "@restless | The plinth is cracked."],
    ),
    "guesses_in_a_restless_trace": (
        ["@restless | The plinth could be cracked."],
        ["@calm | The plinth could be cracked."],
    ),
    "hedges_with_a_negation": (
        ["@restless | Perhaps a draught, though there isn't any."],
        ["@restless | Perhaps a draught.", "@calm | Perhaps a draught, though there isn't any."],
    ),
    "guesses_after_an_objection": (
        ["But the gate was locked. | Perhaps they climbed it."],
        ["The gate was locked. | Perhaps they climbed it."],
    ),
    "guesses_after_concluding": (
        ["@concluded | Perhaps the rope is doubled."],
        ["@calm | Perhaps the rope is doubled."],
    ),
    "guesses_at_length": (
        ["@calm | The miller says that a toll could be waived for any cart of two wheels that he knows."],
        ["@calm | The toll could be waived."],
    ),
    "turns_with_a_hedge": (
        ["But the miller might have kept the second sack."],
        ["But the miller kept the second sack.", "But he might."],
    ),
    # backtrack, by its words
    "says_wait_no": (["Wait, no, the tank was half empty."], ["Wait, the tank was half empty.", "Wait, no."]),
    "says_bare_wait_no": (["Wait, no."], ["Wait, no, the tank leaks.", "Wait."]),
    "says_but_no": (["But no, the tank leaks."], ["But no tank leaks."]),
    "says_no_with_reason": (["No, the tank leaks badly."], ["No.", "No tank leaks badly."]),
    "says_it_fails": (
        ["That pairing doesn't work."],
        ["So that pairing doesn't work.", "If the pairing doesn't work, stop."],
    ),
    "rejects_with_but_that": (["But that is too heavy."], ["That is too heavy.", "But that is fine."]),
    "says_it_cannot_be": (["That can't be right."], ["The crate can't be opened.", "So it can't be right."]),
    "finds_a_contradiction": (
        ["But that contradicts the second clue."],
        ["So the second clue is a contradiction.", "But the second clue is short."],
    ),
    "admits_an_error": (
        ["I forgot the minus sign.", "Oops, the sum is off.", "Scrap that, it leaks."],
        ["Maybe I forgot the minus sign."],
    ),
    "says_too_much": (["Still too slow."], ["So it is too slow.", "The mule is slow."]),
    "gives_a_short_verdict": (
        ["The sum is forty. | Still too high."],
        ["Is forty fine? | Not that.", "No, it is off. | Not better."],
    ),
    "calls_it_a_stretch": (
        ["Maybe the rope is silk. | That is a stretch."],
        ["The rope is silk. | That is a stretch.", "Maybe the rope is silk. | So that is a stretch."],
    ),
    "corrects_with_actually": (
        ["Actually, the fence has nine posts."],
        ["Actually?", "Actually, maybe it has nine posts."],
    ),
    "negates_after_wait": (
        ["Wait, the ferry does not run on Sundays."],
        ["Wait, the ferry runs on Sundays.", "Wait, isn't the ferry shut?"],
    ),
    "drops_the_line": (
        ["This tunnel is a dead end."],
        ["So this tunnel is a dead end.", "- This tunnel is a dead end."],
    ),
    # backtrack, by what it objects to
    "says_no_to_a_proposal": (
        ["Perhaps it is a heron. | No, herons are grey."],
        ["Is it grey? | No, it is white."],
    ),
    "holds_the_task_against_a_guess": (
        ["Perhaps they meet twice. | But the problem gives one meeting."],
        ["They meet twice. | But the problem gives one meeting."],
    ),
    "holds_the_task_against_the_line": (
        ["@restless | But the riddle names one vase."],
        ["@calm | But the riddle names one vase."],
    ),
    "cites_what_is_asked": (
        ["But it says the jar is sealed."],
        ["It says the jar is sealed.", "But maybe it says so."],
    ),
    "contrasts_the_case_at_hand": (
        ["Perhaps ducks count too. | But in this pond swim geese alone."],
        ["Ducks count too. | But in this pond swim geese alone."],
    ),
    "negates_after_but": (
        ["@restless | But the sill does not slope."],
        ["@calm | But the road does not slope.", "@restless | But the sill slopes."],
    ),
    "objects_to_a_proposal": (
        ["@restless | Perhaps the sill slopes. | But a marble stays put there."],
        ["@calm | Perhaps the road slopes. | But a marble stays put there."],
    ),
    "objects_to_a_proposal_in_a_calm_trace": (
        ["@calm | Perhaps the road slopes. | But a marble would not roll there."],
        ["@calm | Perhaps the road slopes. | But a marble stays put there."],
    ),
    "objects_amid_guesses": (
        ["@restless | But the floor is level here."],
        ["@calm | But the floor is level here.", "@restless | But perhaps the floor is level here."],
    ),
    "negates_a_proposal": (
        ["Perhaps it is a kite. | It has no string."],
        ["It is a kite. | It has no string.", "Perhaps it is a kite. | So it has no string."],
    ),
    "says_bare_no": (["Might it be wax? | No."], ["It is wax. | No."]),
    "denies_what_was_said": (
        ["Perhaps it is wax. | That would not melt so."],
        ["It is wax. | That would not melt so."],
    ),
    "objects_briefly": (
        ["@restless | But the sill is dry."],
        ["@calm | But the road is dry.", "@restless | But let us go on."],
    ),
    "denies_its_own_guess_question": (
        ["Could it be wax? | Wax is never blue."],
        ["How many candles burn there in all? | Wax is never blue."],
    ),
    "answers_a_guess_with_but_that": (
        ["Perhaps it is wax. | But that melts."],
        ["It is wax. | But that melts.", "Perhaps it is wax. | But that might be lead."],
    ),
    "objects_to_that": (
        ["But that adds a whole module."],
        ["But that might be a module.", "Wait, but that fits."],
    ),
    # restart
    "does_it_again": (
        ["Let me count the stairs again.", "Starting over."],
        ["The stairs creak again and again."],
    ),
    "ends_with_again": (
        ["Read the clue again."],
        ["The old clock struck again.", "Again, the clue is short."],
    ),
    "redoes_by_verb": (
        ["Let me re-examine the second clue.", "Recounting the sacks of plums."],
        ["The guard re-examines the second clue."],
    ),
    "goes_back_to_the_task": (
        ["@restless | Let me look at the riddle."],
        ["Let me look at the riddle.", "@calm | Let me look at the riddle."],
    ),
    "reads_carefully": (["@calm | Let me read it slowly."], ["Let me read it slowly."]),
    "quotes_the_task_after_wait": (
        ['@calm | Wait, the original text says: "a mule may carry two sacks of pears".'],
        ['@calm | The original text says: "a mule may carry two sacks of pears".'],
    ),
    "quotes_the_task_again": (
        ['It says "mules carry two heavy sacks each". | The text says "mules carry two heavy sacks each".'],
        ['The text says "mules carry two heavy sacks each".'],
    ),
    "checks_again_after_rejections": (
        ["Let me check the lid. | No, it sticks. | No, it bends. | Let me check the hinge."],
        ["Let me check the hinge."],
    ),
    "checks_after_concluding": (
        ["Let me check the sum of pears. | So the answer is ten. | But let me verify the sum."],
        ["So the answer is ten. | Let me verify the sum."],
    ),
    "double_checks_later": (
        ["Let me check the sum of pears. | Let me double-check the sum."],
        ["Let me double-check the sum."],
    ),
    "steps_back": (
        ["@calm | Let us take a step back."],
        ["Let us take a step back.", "@calm | They do not step back."],
    ),
    "announces_another_way": (
        ["Maybe there is a smarter way."],
        ["Another way: halve both piles and weigh them until both pans stay level at once."],
    ),
    "thinks_differently": (["Let me think about the vases differently."], ["The twins dress differently."]),
    "regroups_after_confusion": (
        ["This is confusing. | Let me write the order down."],
        ["The order is known. | Let me write the order down."],
    ),
    "regroups_amid_guesses": (
        ["@restless | Let's think about the sill."],
        ["@calm | Let's think about the road."],
    ),
    "suspects_a_misreading": (["Perhaps I misread the label."], ["Perhaps I miscounted the sacks."]),
    "announces_after_an_objection": (
        ["@calm | But why nine crates? | Let me see the crates."],
        ["@calm | Let me see the crates.", "@calm | But why nine crates? | Let me compute the crates."],
    ),
    "announces_once_concluded": (
        ["@concluded | No, it jams. | Let me see the winch."],
        ["@concluded | Let me see the winch."],
    ),
    "announces_late": (["@restless | Let's see the sill."], ["@calm | Let's see the road."]),
    "turns_to_a_check": (
        ["@calm | But let me see the crates."],
        ["@calm | Let me see the crates.", "But let me see the crates."],
    ),
    # convergent, by its words
    "computes": (["12 + 9 = 21"], ["Twelve geese and nine ducks swim on 2 ponds behind the old mill."]),
    "lists_an_item": (
        ["- The first gate is red."],
        ["- But the first gate is red.", "The first gate is red."],
    ),
    "walks_announced_options": (["Case 2: the gate is shut."], ["In that case the gate is shut."]),
    "concludes_by_word": (
        ["Therefore the gate is shut."],
        ["But therefore the gate is shut.", "The gate is shut."],
    ),
    "concludes_with_so": (["So the gate is shut."], ["So maybe the gate is shut.", "The gate is so old."]),
    "infers_with_so_maybe": (["So maybe the gate is shut."], ["Maybe the gate is shut."]),
    "goes_on_in_order": (["Next, the gate swings open."], ["But next, the gate swings open."]),
    "goes_on_with_now": (
        ["Now the gate is open."],
        ["But now the gate is open.", "Now maybe the gate is open."],
    ),
    "states_a_premise": (
        ["Since the gate is open, the sheep leave."],
        ["But since the gate is open, they leave."],
    ),
    "elaborates": (["For example, the ram leaves first."], ["For example, maybe the ram leaves first."]),
    "affirms": (
        ["Yes, the flock is complete."],
        ["But yes, the flock is complete.", "The flock is complete."],
    ),
    "only_interjects": (["Hmm.", "But wait."], ["Wait, no.", "Hmm, the flock is complete."]),
    "doubts_without_content": (
        ["I'm not sure."],
        ["I'm not sure that the ram belongs to the same flock as the ewe."],
    ),
    "asks_a_plain_question": (
        ["How many ewes are left?"],
        ["But how many ewes are left?", "What if one stays?"],
    ),
    "sets_to_work": (
        ["Let me compute the pears."],
        ["Let me compute the pears again.", "But let me compute the plums."],
    ),
    "plans": (["We need to count the ewes."], ["But we need to count the ewes.", "The ewes need grass."]),
    "answers": (
        ["The answer is fourteen."],
        ["But the answer is fourteen.", "Maybe the answer is fourteen."],
    ),
    "finds_no_trouble": (["There is no problem with the fence."], ["There is no fence."]),
    "suspects_a_slip": (["I might have made a mistake with the ewes."], ["The clerk made a mistake here."]),
    "settles_on_a_candidate": (["I'll go with the larger pen."], ["I won't go with the larger pen."]),
    # convergent, by its place
    "opens_the_trace": (["The barn is red."], ["A. | B. | C. | D. | The barn is red."]),
    "stands_near_the_start": (
        ["A. | B. | C. | D. | The barn is red."],
        ["A. | B. | C. | D. | But the barn is red."],
    ),
    "gives_the_first_idea": (
        ["The barn is red. | Maybe count the doors."],
        ["Maybe count the doors. | Maybe count the windows."],
    ),
    "writes_code": (["```python | total = pears * 4"], ["total = pears * 4"]),
    "continues_a_quotation": (
        ['The sign reads: "Mind the step. | Wipe your boots."'],
        ['"Wipe your boots."'],
    ),
    "checks_for_the_first_time": (
        ["Let me check the sum of pears."],
        ["Let me check the sum of pears. | Let me check the sum of pears of the rest."],
    ),
    "states_plainly": (["The barn has two doors."], ["But the barn has two doors.", "Is the barn red?"]),
    "states_in_a_calm_passage": (
        ["@calm | The cider is sweet."],
        ["@restless | The cider is sweet.", "@calm | But the cider is sweet."],
    ),
    "belongs_to_a_calm_trace": (
        ["@calm | @concluded | The cider is sweet."],
        ["@restless | @calm | A jug breaks."],
    ),
    "carries_out_the_announcement": (
        ["The crates weigh as follows: | The first weighs nine pounds."],
        ["The crates are weighed. | The first weighs nine pounds."],
    ),
    "repeats_a_rejection": (["No, it is cracked. | Not that."], ["It is cracked. | Not that."]),
    "answers_its_question": (
        ["Is the jug full? | Yes."],
        ["Is it perhaps full? | Yes.", "The jug is full. | Yes."],
    ),
    "explains_a_rejection": (
        ["No, it leaks. | Water drips from the base."],
        ["It holds. | Water drips from the base."],
    ),
    "derives_with_wait": (
        ["Wait, so the jug is full."],
        ["Wait, so the jug is not full.", "So the jug is full."],
    ),
    "uses_a_given_after_but": (
        ["@calm | But the market opens late."],
        ["@restless | But the house opens late.", "@calm | But the market does not open."],
    ),
    "asks_by_an_objection": (
        ["But how does the jug fill?"],
        ["How does the jug fill?", "But what if it fills?"],
    ),
    "hedges_in_a_calm_trace": (
        ["@calm | The cider might be sweet."],
        ["@restless | The cider might be sweet.", "@calm | But the cider might be sweet."],
    ),
}
"""For every labelling function the examples that it catches and those that it leaves."""


def example_steps(example: str) -> list[str]:
    """Return the steps of an example, its passages written out."""
    steps: list[str] = []
    for part in example.split(" | "):
        steps.extend(PASSAGES.get(part, [part]))
    return steps
