"""Gate 4: is the completion a refusal, assistant boilerplate, or chat markup that leaked into the text?

Boilerplate here is talk about being an assistant and offers of service, which answer nothing. A closing
question ("Would you like me to explain?") passes: some models end half their answers so. A first person who
cannot *do* something in the world ("I can't help thinking…", "I won't lie to her") passes, and so does an
apology that belongs to the answer.
"""

import re

from steerheal.generation.measured import Measured, Thresholds

NAME = "refusal"
_CANNOT = (
    r"i(?: simply| really| just)?(?: am|'m)?(?: sorry,? but i)?"
    r" ?(?:cannot|can not|can't|could not|couldn't|won't|will not|must decline to|have to decline to|"
    r"unable to|not able to|not comfortable|not allowed to|not permitted to|not going to be able to)"
    r"(?: ethically| really| in good conscience| directly| possibly)?"
)
_TASK = (
    r"(?:assist\b|comply\b|fulfil|(?:help|helping)(?: you)?(?: with (?:that|this|your|the request|such)|"
    r"[.!]|$)|"
    r"(?:provide|providing|offer|offering|give|giving)(?: you)?(?: with)?(?: any)?"
    r"(?: (?:that|this|such|specific|personal|medical|legal|financial|an?)){0,2}"
    r" (?:information|advice|instructions?|guidance|opinions?|content|answers?|assistance|diagnosis)|"
    r"answer(?:ing)? (?:that|this|your|such an?) (?:question|request|query)|answer(?:ing)? (?:this|"
    r"that)[.!,]|"
    r"(?:generate|generating|create|creating|produce|producing|write|writing) (?:that|this|such|content|"
    r"text|material)|"
    r"(?:discuss|discussing|engage (?:in|with)|engaging (?:in|with)) (?:that|this|such|these)|"
    r"respond(?:ing)? to (?:that|this|your|such)|process (?:that|this|your) request|"
    r"continue (?:with )?this conversation|take sides|have (?:an? )?(?:personal )?(?:opinions?|feelings)\b)"
)
_MACHINE = (
    r"(?:ai|a\.i\.|artificial intelligence|(?:large )?language model|llm|chatbot|virtual assistant|"
    r"digital assistant|computer program)"
)
_PATTERNS = (
    rf"{_CANNOT} {_TASK}",
    rf"(?:as|i am|i'm|being|just|only) (?:just |only |merely )?an? (?:[a-z]+ ){{0,2}}{_MACHINE}\b",
    r"i (?:do not|don't) have (?:any )?(?:personal|real-time|access to (?:real-time|current|your|the "
    r"internet)|"
    r"subjective|physical)\b",
    r"(?:my|the) (?:training data|knowledge cut-?off|programming|guidelines|creators|developers) (?:does|do|"
    r"is|"
    r"was|are|prevents?|requires?|only|does not|doesn't)\b",
    r"i (?:was|am|'m|have been) (?:created|trained|designed|programmed|developed|built)"
    r" (?:by (?:my |a |an |the )?(?:company|developers?|creators?|team|openai|google|meta|anthropic|mistral|"
    r"alibaba)|"
    r"to (?:assist|help|be|provide|answer|follow))\b",
    r"how (?:can|may|could) i (?:help|assist)(?: you\b|,? today\b|\?)",
    r"(?:that|this|it)(?: is|'s) not (?:something|a (?:topic|question|subject|request)) (?:that |which "
    r")?i(?: can|'m able| am able|'d)\b",
    r"(?:i'd|i would) (?:rather|prefer) not (?:to )?(?:answer|say|discuss|comment|share|take sides|give)\b",
    r"(?:best|better) left to (?:an? |the )?(?:[a-z]+ )?(?:professional|expert)s?\b",
    r"(?:consult|seek|speak to|contact|see) (?:an? )?(?:qualified|licensed|trained|medical|legal|mental "
    r"health)?"
    r" ?(?:health )?professionals?\b",
    r"(?:not|wouldn't be|isn't) (?:appropriate|my place|right|possible)(?: for me)? to"
    r" (?:judge|share|take|give|answer|comment|say|have|offer|express)\b",
    r"i(?:'m going to| am going to|'ll| will| would)? have to pass on (?:this|that)\b",
    r"(?:let us|let's) (?:talk about|discuss) something else\b|change the (?:subject|topic), please\b",
    r"i(?: am|'m) (?:always )?here to (?:help|assist)\b",
    r"(?:is there|if there(?: is|'s)) anything else (?:(?:that )?i can|you(?: would|'d)? (?:like|need))\b",
    r"(?:feel free to|don't hesitate to|do not hesitate to) (?:ask|reach out|let me know|contact me)\b",
    r"let me know if you(?:'d| would)? (?:have any|need|want|like)(?: any| more| me| to| help| further)*\b",
    r"i hope (?:this|that) helps\b",
    r"(?:i am|i'm|i'd be|i would be) (?:happy|glad|pleased|delighted) to (?:help|assist)\b",
    r"(?:your|this|that) request (?:violates|goes against|is against|conflicts with|cannot be)\b",
    r"i must (?:respectfully )?decline\b",
    r"(?:thank you for|thanks for) (?:your question|asking|reaching out|contacting)\b",
    r"^(?:sure|certainly|of course|absolutely)[!,.]? (?:here (?:is|are)|here's|i can help|i(?:'d| would) "
    r"be)\b",
    r"i(?: am|'m) programmed\b",
)
_BOILERPLATE = re.compile(r"\b(?:" + "|".join(_PATTERNS) + ")")  # one pass, not one per pattern
_MARKUP = re.compile(
    r"<\|[a-z_]{1,24}\|>|</?(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|</?s>|<(?:eos|bos|pad|unk)>|"
    r"^\W{0,4}(?:assistant|model|user|human|system)[ \t]?:[ \t]",
    re.IGNORECASE | re.MULTILINE,
)


def markup(text: str) -> bool:
    """Does the text carry pieces of a chat template, as it does when a model runs on into the next turn?"""
    return _MARKUP.search(text) is not None


def measure(measured: Measured) -> dict[str, float]:
    """{"refusal": how many pieces of refusal, boilerplate or leaked markup occur}."""
    return {"refusal": float(sum(1 for _ in _BOILERPLATE.finditer(measured.own_voice)) + markup(measured.text))}


def check(measured: Measured, measures: dict[str, float], thresholds: Thresholds) -> str | None:
    if found := _BOILERPLATE.search(measured.own_voice):
        return f'refuses or talks as an assistant: "{found.group()}"'
    return "leaks chat markup" if measures["refusal"] else None
