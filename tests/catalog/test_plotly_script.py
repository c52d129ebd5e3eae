"""The trimmed script: what is used stays, what nothing refers to goes, another bundle is kept."""

import re

import pytest

from catalog.report.plotly_script import TRACES, plotly_source, trimmed, whole_source

BUNDLE = (
    "/* license */var Ea=1,W=2;"
    'var core=W((e,t)=>{"use strict";t.exports=shared()});'
    'var shared=W((e,t)=>{"use strict";t.exports=3});'
    'var barIndex=W((e,t)=>{"use strict";t.exports={moduleType:"trace",name:"bar",use:shared()}});'
    'var bar=W((e,t)=>{"use strict";t.exports=barIndex()});'
    'var earth=W((e,t)=>{"use strict";t.exports="kilobytes of continents"});'
    'var geo=W((e,t)=>{"use strict";t.exports={moduleType:"trace",name:"geo",use:earth()}});'
    "var main=W((e,t)=>{var c=core();c.register([bar(),geo()]);t.exports=c});return main()"
)


def test_a_module_nobody_needs_is_left_out() -> None:
    found = trimmed(BUNDLE, frozenset({"bar"}))
    assert "continents" not in found
    assert ".register([bar()]);" in found
    assert found.startswith("/* license */")
    assert found.endswith("return main()")
    for name in ("core", "shared", "barIndex", "bar", "main"):
        assert f"var {name}=W(" in found


@pytest.mark.parametrize(
    "other",
    [
        "an unknown bundle",
        BUNDLE.replace(".register([bar(),geo()]);", ".register(all);"),
        BUNDLE.replace('name:"bar"', 'name:"columns"'),
    ],
)
def test_another_bundle_is_taken_as_it_is(other: str) -> None:
    assert trimmed(other, frozenset({"bar"})) == other


def test_the_installed_bundle_is_trimmed_and_whole() -> None:
    source, whole = plotly_source(), whole_source()
    assert len(source) < 0.4 * len(whole)
    assert "Licensed under the MIT license" in source[:200]
    assert source.count('moduleType:"trace"') < whole.count('moduleType:"trace"')
    for name in (*TRACES, "scatter"):
        assert f'moduleType:"trace",name:"{name}"' in source
    defined = set(re.findall(r"(?<=;)var ([\w$]+)=W\(", whole))
    kept = set(re.findall(r"(?<=;)var ([\w$]+)=W\(", source))
    words = set(re.findall(r"[\w$]+", source))
    assert not (words & defined) - kept
