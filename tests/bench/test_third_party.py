"""Other people's clients are run by hand; what is said where there are none is a sentence."""

import pytest

from bench import third_party_kis


def test_without_a_client_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(
        third_party_kis, "CLIENTS", {"kis-of-nobody": ("kis_of_nobody", "real", None)}
    )
    assert third_party_kis.main([]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "kis-of-nobody" in said
    assert "bench/third_party_kis.py" in said


def test_a_step_that_fails_is_told_and_counted(capsys):
    steps = third_party_kis.Steps("client")
    steps.do("a value", lambda: 3)
    steps.do("an odd one", lambda: 3, so=lambda found: found == 4)
    steps.do("an error", lambda: 1 // 0)
    steps.refused("a refusal", lambda: {"msg_cd": "APBK0344"}, "APBK")
    steps.refused("no refusal", lambda: {"msg_cd": "APBK0013"}, "APBK0952")
    assert steps.failed == 3
    assert "ZeroDivisionError" in capsys.readouterr().out
    with pytest.raises(third_party_kis.Stuck):
        steps.do("a need", lambda: 0, needed=True)
