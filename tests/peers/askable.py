"""Announcements that are there without files: each prompt of an agreement as if its sound said just that."""

from collections.abc import Iterable

from gateway.engine.announcements import Announcements, Question
from gateway.media.prompts.sounds import Catalogue
from policy.agreement.schema import Prompt
from policy.terms import Purpose


def question(prompt: Prompt, purpose: Purpose = Purpose.COACHING, *, one_sided: bool = False) -> Question:
    """The question that fits a prompt."""
    keys = (prompt.consent_key, prompt.refuse_key, prompt.withdraw_code)
    return Question(prompt.sha256, prompt.language, purpose, *keys, one_sided)


def askable(prompts: Iterable[Prompt], purpose: Purpose = Purpose.COACHING) -> Announcements:
    """All of them, for one purpose."""
    asked = tuple(prompts)
    questions = {prompt.id: question(prompt, purpose) for prompt in asked}
    return Announcements(Catalogue(), questions, {prompt.language: prompt.withdraw_code for prompt in asked})
