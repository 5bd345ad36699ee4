"""What someone may get wrong in a spec, and the line and words that tell it."""

import re

import pytest

from harness.errors import EXIT_BAD_INPUT, SpecError
from tests.spec.conftest import Load

HEAD = "version: 1\ntitle: Which?\n"  # two lines; what follows starts in line 3

BROKEN = [
    # the file as YAML
    ("empty", "", 1, "the file is empty"),
    ("only a comment", "# nothing\n", 1, "the file is empty"),
    ("a list", "- version: 1\n", 1, "an experiment is a mapping"),
    ("a word", "reactor\n", 1, "an experiment is a mapping"),
    ("unclosed bracket", HEAD + "factors: {model: [ppc, reactor}\n", 3, "close the bracket or brace"),
    ("question mark in brackets", HEAD + "factors: {request.path: [/a?b]}\n", 3, "quote the text"),
    ("unclosed quote", HEAD + "base: {model: 'ppc}\n", 4, "close the quote"),
    ("tab", HEAD + "base:\n\tmodel: ppc\n", 4, "indent with spaces, not tabs"),
    ("colon in a title", "version: 1\ntitle: Which one: ppc or tpc?\n", 2, "quote a text that holds `: `"),
    ("two documents", HEAD + "---\nversion: 1\n", 3, "a second document starts here"),
    ("duplicate key", HEAD + "repeats: 3\nseed: 1\nrepeats: 5\n", 5, "`repeats` is given twice (first in line 3)"),
    ("duplicate factor", HEAD + "factors:\n  model: [ppc]\n  model: [reactor]\n", 5, "`model` is given twice"),
    ("tag", HEAD + "base: !!python/object:os.system {}\n", 3, "the tag `tag:yaml.org,2002:python/object:os.system`"),
    ("merge key", HEAD + "base:\n  <<: {model: ppc}\n", 4, "`<<` is a merge key"),
    ("unknown alias", HEAD + "base: *common\n", 3, "`*common` names no value above it"),
    ("alias within itself", HEAD + "exclude: &e [*e]\n", 3, "`*e` names no value above it"),
    ("nested too deep", HEAD + "base: " + "[" * 200 + "]" * 200, 3, "nested deeper than 32 levels"),
    ("bomb", "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)), 6, "more than 100000 values"),
    ("too large", HEAD + "#" * 300_000, 1, "larger than 256 KiB"),
    ("list as key", HEAD + "? [a]\n: 1\n", 3, "a list or mapping stands as a key"),
    ("control character", HEAD + "base: {model: \"a\x07\"}\n", 3, "U+0007 cannot stand in YAML"),
    ("escape to no character", HEAD + 'base: {model: "\\UFFFFFFFF"}\n', 1, "this is not YAML"),
    ("half a character", HEAD + 'base: {model: "\\uD800"}\n', 3, "half a surrogate pair"),
    # the top
    ("no version", "title: Which?\n", 1, "`version` is missing; add `version: 1`"),
    ("version to come", "version: 2\ntitle: Which?\n", 1, "`version` is `2`; "),
    ("version as truth", "version: true\ntitle: Which?\n", 1, "not the whole number 1"),
    ("no title", "version: 1\n", 1, "`title` is missing; add `title: …`"),
    ("empty title", "version: 1\ntitle: ''\n", 2, "`title` is empty"),
    ("name for title", "version: 1\nname: Which?\n", 2, "unknown key `name`; did you mean `title`?"),
    ("slip in a key", HEAD + "repeat: 3\n", 3, "unknown key `repeat`; did you mean `repeats`?"),
    ("key of the base at the top", HEAD + "model: ppc\n", 3, "unknown key `model`; did you mean `base.model`?"),
    ("key of the load at the top", HEAD + "connections: 64\n", 3, "did you mean `base.load.connections`?"),
    ("another tool's word", HEAD + "base:\n  load:\n    concurrency: 8\n", 5, "did you mean `base.load.connections`?"),
    ("unknown key", HEAD + "zebra: 1\n", 3, "unknown key `zebra`; known here: `version`"),
    ("no repeats", HEAD + "repeats: 0\n", 3, "`repeats` is too small (`0`); write a number that is at least 1"),
    ("word for a number", HEAD + "repeats: five\n", 3, "`repeats` is `five`, not a whole number"),
    ("quoted number", HEAD + 'repeats: "5"\n', 3, 'the text "5", not a whole number; write it without quotes: `5`'),
    ("half a repeat", HEAD + "repeats: 2.5\n", 3, "`repeats` is `2.5`, not a whole number"),
    ("fewer blocks at most than at least", HEAD + "repeats: {min: 9, max: 6}\n", 3, "`repeats`: `max` is 6 and `min` is 9; write `max` as 9 or more"),
    ("too few blocks to rank", HEAD + "repeats: {min: 2}\n", 3, "`repeats.min` is too small (`2`); write a number that is at least 3"),
    ("too few blocks, whose rest is no order", HEAD + "repeats: {min: 2, max: 4}\n", 3, "`repeats.min` is too small (`2`); write a number that is at least 3"),
    ("slip in a key of repeats", HEAD + "repeats:\n  till: ranked\n", 4, "unknown key `till` in `repeats`; did you mean `until`?"),
    ("until something else", HEAD + "repeats: {until: rank}\n", 3, "`repeats.until` is `rank`; write `ranked`"),
    ("budget without unit", HEAD + "repeats: {within: 10}\n", 3, "`repeats.within`: `10` has no unit"),
    ("no as a number", HEAD + "seed: no\n", 3, "`seed` is `no`, not a whole number"),
    # the base
    ("base without value", HEAD + "base:\n", 3, "`base` has no value"),
    ("base as a word", HEAD + "base: ppc\n", 3, "`base` is `ppc`, not a mapping"),
    ("unknown model", HEAD + "base:\n  model: recator\n", 4, "there is no model `recator`; did you mean `reactor`?"),
    ("model as a path", HEAD + "base: {model: ../../etc}\n", 3, "is no model's name"),
    ("no space after colon", HEAD + "base:\n  handler: {cpu:50 us}\n", 4, "put a space after the colon: `cpu: 50 us`"),
    ("unit missing", HEAD + "base:\n  load:\n    window: 5\n", 5, "`base.load.window`: `5` has no unit; write one"),
    ("unit slip", HEAD + "base: {load: {warmup: 3 sec}}\n", 3, "`sec` is not a unit of a duration; did you mean `3 s`?"),
    ("unit of another kind", HEAD + "base: {handler: {cpu: 50 B}}\n", 3, "`B` is not a unit of a duration; use h, min"),
    ("unit in another case", HEAD + "base: {limits: {memory: 512 mb}}\n", 3, "did you mean `512 MB`?"),
    ("rate as rps", HEAD + "base: {load: {kind: open, rate: 100 rps}}\n", 3, "did you mean `100/s`?"),
    ("enum slip", HEAD + "base:\n  load: {lifetime: keepalive}\n", 4, "did you mean `keep-alive`?"),
    ("enum miss", HEAD + "base: {request: {method: TRACE}}\n", 3, "is not one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`"),
    ("HEAD with body", HEAD + "base: {request: {method: HEAD, body: 1 KiB}}\n", 3, "carries no body, nor does HEAD"),
    ("a status that is none", HEAD + "base: {request: {expect: 2}}\n", 3, "`base.request.expect` is too small"),
    ("no servers", HEAD + "base: {servers: 0}\n", 3, "`base.servers` is too small"),
    ("thousands", HEAD + "base: {load: {connections: 1_000}}\n", 3, "`1_000`, not a whole number; did you mean `1000`?"),
    ("no connections", HEAD + "base: {load: {connections: 0}}\n", 3, "`base.load.connections` is too small"),
    ("no window", HEAD + "base: {load: {window: 0 s}}\n", 3, "out of range; write a value from 100 ms to 24 h"),
    ("no timeout", HEAD + "base: {load: {timeout: 0 s}}\n", 3, "out of range; write a value from 1 ms"),
    ("little memory", HEAD + "base: {limits: {memory: 1 MiB}}\n", 3, "out of range; write a value from 6 MiB"),
    ("path without slash", HEAD + "base: {request: {path: items}}\n", 3, "does not start with a slash"),
    ("path with a space", HEAD + "base: {request: {path: /a b}}\n", 3, "percent-encode"),
    ("client's header", HEAD + "base:\n  request:\n    headers:\n      host: me\n", 6, "the load client sets `host` itself"),
    ("header with line break", HEAD + 'base: {request: {headers: {X-A: "a\\r\\nB: c"}}}\n', 3, "is no header value"),
    ("header name", HEAD + 'base: {request: {headers: {"X A": b}}}\n', 3, "is no header name"),
    ("header as a number", HEAD + "base: {request: {headers: {X-A: 5}}}\n", 3, 'quote it to make it text: "5"'),
    ("header twice", HEAD + "base: {request: {headers: {X-A: a, x-a: b}}}\n", 3, "given twice, in different case"),
    # options
    ("unknown option", HEAD + "base:\n  options:\n    varaint: single\n", 5, "has no option `varaint`; did you mean `variant`?"),
    ("choice slip", HEAD + "base: {options: {variant: sinlge}}\n", 3, "did you mean `single`?"),
    ("option too small", HEAD + "base: {options: {batch: 0}}\n", 3, "`0` is too small; write at least 1"),
    ("option too large", HEAD + "base: {options: {batch: 5000}}\n", 3, "write at most 1024"),
    ("option of a wrong type", HEAD + "base: {model: prefork, options: {pinned: on}}\n", 3, "`on` is not a boolean"),
    ("truth for a number", HEAD + "base: {options: {batch: true}}\n", 3, "`true` is not a whole number"),
    ("number for text", HEAD + "base: {model: prefork, options: {name: 5}}\n", 3, "`5` is not text; quote it"),
    ("list as option", HEAD + "base: {options: {batch: [1]}}\n", 3, "is a list, not a single value"),
    ("options of a model without", HEAD + "base: {model: ppc, options: {workers: 1}}\n", 3, "it has no options"),
    # ready images, and servers that run already
    ("image without port", HEAD + "base:\n  model:\n    image: acme/api:1.2\n", 4, "`port` is missing in `base.model`; add `port: …` (TCP port"),
    ("neither image nor url", HEAD + "base:\n  model: {name: nginx}\n", 4, "a mapping with neither `image` nor `url`; write `{image: NAME, port: 8080}`"),
    ("both image and url", HEAD + "base:\n  model: {image: a, port: 1, url: 'http://h'}\n", 4, "a mapping with both `image` and `url`"),
    ("image's name", HEAD + "base:\n  model:\n    image: Acme Api\n    port: 80\n", 5, "is no image's name; write it as for `docker run`"),
    ("image's port as text", HEAD + "base:\n  model:\n    image: a\n    port: '80'\n", 6, 'is the text "80", not a whole number'),
    ("slip in an image", HEAD + "base:\n  model:\n    image: a\n    port: 80\n    comand: [x]\n", 7, "unknown key `comand` in `base.model`; did you mean `command`?"),
    ("number as a variable", HEAD + "base:\n  model:\n    image: a\n    port: 80\n    env: {N: 5}\n", 7, 'quote it to make it text: "5"'),
    ("name of a variable", HEAD + "base: {model: {image: a, port: 80, env: {a b: x}}}\n", 3, "is no variable's name"),
    ("url with a path", HEAD + "base:\n  model:\n    url: http://h:80/api\n", 5, "has a path; write `http://h:80`, and the path as `request.path`"),
    ("url of another kind", HEAD + "base: {model: {url: 'ftp://h'}}\n", 3, "is not one that the client can load; write `http://host:port`"),
    ("url with a wrong port", HEAD + "base: {model: {url: 'http://h:99999'}}\n", 3, "is no URL"),
    ("url without a part of its name", HEAD + "base: {model: {url: 'http://a..b'}}\n", 3, "is no URL"),
    ("certificates without https", HEAD + "base: {model: {url: 'http://h', insecure: true}}\n", 3, "are for https"),
    ("certificates twice", HEAD + "base: {model: {url: 'https://h', insecure: true, ca: a.pem}}\n", 3, "`insecure` takes any certificate"),
    ("no such certificates", HEAD + "base:\n  model:\n    url: https://h\n    ca: missing.pem\n", 6, "cannot be read (No such file or directory); name a PEM file"),
    ("no certificates in it", HEAD + "base: {model: {url: 'https://h', ca: spec.yaml}}\n", 3, "it holds no certificate"),
    ("no such certificates in a level", HEAD + "factors:\n  model:\n    - ppc\n    - {url: 'https://h', ca: missing.pem}\n", 6, "missing.pem` cannot be read"),
    ("options of an image", HEAD + "base:\n  model: {image: a, port: 80}\n  options: {workers: 1}\n", 5, "`a` is no folder of images/ and has no options; remove them"),
    ("option that an image lacks", HEAD + "factors:\n  model: [reactor, {image: a, port: 80}]\n  options.batch: [1, 2]\n", 5, "`a` is no folder of images/ and has no options (with `model: a`"),
    ("wrong level of the model", HEAD + "factors:\n  model:\n    - {name: nginx}\n", 5, "or `{url: http://host:port}`"),
    ("image without port as a level", HEAD + "factors:\n  model:\n    - {image: a}\n", 5, "`port` is missing in `model`"),
    ("image without port in a set", HEAD + "factors:\n  model:\n    - label: x\n      set:\n        model: {image: a}\n", 7, "`port` is missing in `model`"),
    ("image twice", HEAD + "factors:\n  model:\n    - {image: a, port: 80}\n    - {image: a, port: 81}\n", 6, "the level `a` twice"),
    ("work of an image", HEAD + "base:\n  model: {image: a, port: 80}\n  handler: {cpu: 5 us}\n", 5, "`handler.cpu` has no effect"),
    ("slip in the metric", HEAD + "metric: throughput\n", 3, "there is no metric `throughput`; did you mean `throughput_rps`?"),
    ("metric that ranks nobody", HEAD + "metric: in_flight\n", 3, "`in_flight` ranks nobody"),
    ("fault in every request", HEAD + "base:\n  model: prefork\n  request: {path: /-/fault}\n  handler: {fault: crash}\n", 5, "every request would set the fault off"),
    ("another status of ours", HEAD + "base:\n  model: ppc\n  request: {expect: 404}\n", 5, "`request.expect` says another status than 200"),
    ("fault of a url", HEAD + "base:\n  model: {url: 'http://h'}\n  handler: {fault: crash}\n", 5, "`handler.fault` has no effect"),
    ("body of what has none of ours", HEAD + "base: {model: {url: 'http://h'}}\nfactors:\n  handler.body: [1 B, 2 B]\n", 5, "changes nothing, as no model here has the handler"),
    ("memory of a url", HEAD + "base:\n  model: {url: 'http://h'}\n  limits: {memory: 64 MiB}\n", 5, "`limits.memory` cannot be set for a server that runs already"),
    ("cores of a url", HEAD + "base:\n  model: {url: 'http://h'}\nfactors: {limits.cores: [2]}\n", 5, "`limits.cores` cannot be set"),
    ("network of a url", HEAD + "base: {model: {url: 'http://h'}, network: bridge}\n", 3, "`network` cannot be set"),
    ("url at the top", HEAD + "url: http://h\n", 3, "did you mean `base.model`?"),
    # what cannot be together
    ("open without rate", HEAD + "base:\n  load:\n    kind: open\n", 5, "an open load has no rate"),
    ("closed with rate", HEAD + "base: {load: {rate: 100/s}}\n", 3, "a closed load makes its own rate"),
    ("no request in the window", HEAD + "base: {load: {kind: open, rate: 0.1/s}}\n", 3, "no request falls into the window"),
    ("GET with body", HEAD + "base: {request: {body: 1 KiB}}\n", 3, "a GET request carries no body"),
    ("work beyond the deadline", HEAD + "base: {handler: {cpu: 6 s}}\n", 3, "every request times out"),
    # several servers, and what is in front of them
    ("several without a balancer", HEAD + "base:\n  servers: 3\n", 4, "the load would meet one of them only; set `balancer`: `haproxy-tcp`"),
    ("several without a balancer as a level", HEAD + "factors:\n  servers: [1, 2]\n", 4, "the load would meet one of them only"),
    ("balancing of no balancer", HEAD + "base:\n  balancing: {fall: 5}\n", 4, "`balancing` says how HAProxy works, and there is none"),
    ("balancing of clients that spread", HEAD + "base: {servers: 2, balancer: direct}\nfactors:\n  balancing.cores: [1, 2]\n", 5, "`balancing` says how HAProxy works"),
    ("HAProxy before https", HEAD + "base:\n  model: {image: a, port: 443, https: true}\n  balancer: haproxy-http\n", 4, "these servers speak https"),
    ("fewer connections than servers", HEAD + "base:\n  servers: 2\n  balancer: direct\n  load: {connections: 1}\n", 6, "there are fewer connections than servers, and each stays with one server"),
    ("fewer connections than servers, each opened anew", HEAD + "base:\n  servers: 3\n  balancer: direct\n  load: {connections: 2, lifetime: per-request}\n", 6, "fewer connections than servers"),
    ("fewer kept connections than servers", HEAD + "base: {balancer: haproxy-tcp, load: {connections: 3}}\nfactors:\n  servers: [1, 8]\n", 5, "fewer connections than servers"),
    ("several of a url", HEAD + "base:\n  model: {url: 'http://h'}\n  servers: 2\n", 5, "`servers` cannot be set for a server that runs already"),
    ("balancer of a url", HEAD + "base:\n  model: {url: 'http://h'}\n  balancer: direct\n", 5, "`balancer` cannot be set for a server that runs already"),
    # factors
    ("factor without levels", HEAD + "factors:\n  model: []\n", 4, "`factors.model` is empty"),
    ("one level without a list", HEAD + "factors:\n  model: ppc\n", 4, "not a list; write `[ppc]`"),
    ("factor without path", HEAD + "factors:\n  connections: [1]\n", 4, "did you mean `load.connections`?"),
    ("factor with base", HEAD + "factors:\n  base.model: [ppc]\n", 4, "write it without `base.`: `model`"),
    ("factor slip", HEAD + "factors:\n  load.conections: [1]\n", 4, "did you mean `load.connections`?"),
    ("section as a factor", HEAD + "factors:\n  limits: [1]\n", 4, "name one of its keys: `limits.cores`"),
    ("all options as a factor", HEAD + "factors:\n  options: [1]\n", 4, "`options.NAME`"),
    ("level of a wrong type", HEAD + "factors:\n  load.connections:\n    - 1\n    - many\n", 6, "`many`, not a whole number"),
    ("level slip", HEAD + "factors:\n  load.lifetime:\n    - keep-alive\n    - per-reqest\n", 6, "did you mean `per-request`?"),
    ("level without unit", HEAD + "factors:\n  load.window: [1 s,\n    2]\n", 5, "`2` has no unit"),
    ("level out of range", HEAD + "factors: {load.connections: [1, -1]}\n", 3, "`load.connections` is too small (`-1`)"),
    ("list as a level", HEAD + "factors: {load.connections: [[1, 2]]}\n", 3, "a level of `load.connections` is a list"),
    ("mapping as a level", HEAD + "factors: {load.kind: [{kind: open}]}\n", 3, "a mapping without `label` and `set`"),
    ("unknown model as a level", HEAD + "factors:\n  model:\n    - ppc\n    - cpp\n", 6, "there is no model `cpp`"),
    ("duplicate level", HEAD + "factors:\n  load.window:\n    - 1 s\n    - 1000 ms\n", 6, "the level `1 s` twice (first in line 5)"),
    ("set without label", HEAD + "factors:\n  model:\n    - {set: {model: ppc}}\n", 5, "`label` is missing"),
    ("label without set", HEAD + "factors:\n  model:\n    - {label: x}\n", 5, "`set` is missing"),
    ("slip in a set", HEAD + "factors:\n  model:\n    - label: x\n      set:\n        load.widow: 1 s\n", 7, "did you mean `load.window`?"),
    ("wrong value in a set", HEAD + "factors:\n  model:\n    - label: x\n      set:\n        load.window: 1\n", 7, "`1` has no unit"),
    ("wrong option in a set", HEAD + "factors:\n  model:\n    - label: x\n      set:\n        model: prefork\n        options.acept: epoll\n", 8, "did you mean `accept`?"),
    ("two labels for one", HEAD + "factors:\n  model:\n    - ppc\n    - {label: x, set: {model: ppc}}\n", 6, "the levels `ppc` and `x` of `model` are the same"),
    ("labels too alike", HEAD + "factors:\n  model:\n    - {label: a b, set: {model: ppc}}\n    - {label: A-b, set: {model: prefork}}\n", 6, "would share a folder name"),
    ("key set by two factors", HEAD + "factors:\n  model: [{label: x, set: {load.connections: 5}}]\n  load.connections: [1, 2]\n", 5, "`load.connections` is set by two factors"),
    ("one impossible level", HEAD + "factors:\n  load.kind:\n    - closed\n    - open\n", 6, "an open load has no rate"),
    ("impossible combination", HEAD + "factors:\n  load.kind: [closed, open]\n  load.rate: [null, 5/s]\n", 5, "(with `load.kind: open` and `load.rate: none`)"),
    ("option that one model lacks", HEAD + "factors:\n  model: [reactor, ppc]\n  options.batch: [1, 2]\n", 5, "model `ppc` has no option `batch` (with `model: ppc`"),
    ("factor without effect", HEAD + "base: {handler: {kind: echo}}\nfactors:\n  handler.body: [1 B, 2 B]\n", 5, "changes nothing"),
    ("list as a level", HEAD + "factors:\n  load.rates: [[1/s, 2/s]]\n", 4, "a level of `load.rates` is a list; write a single value, or `{label: NAME, set: {load.rates: […]}}`"),
    ("too many trials", HEAD + f"factors:\n  load.connections: {list(range(1, 1001))}\n  limits.cores: {list(range(1, 102))}\nrepeats: 1\n", 3, "this makes 101,000 trials, more than 100,000"),
    # exclude
    ("exclude as a mapping", HEAD + "exclude: {model: ppc}\n", 3, "`exclude` is a mapping, not a list"),
    ("exclude by no factor", HEAD + "exclude: [{model: ppc}]\n", 3, "`model` is not varied by a factor"),
    ("exclude slip in factor", HEAD + "factors: {model: [ppc, reactor]}\nexclude:\n  - {modle: ppc}\n", 5, "did you mean `model`?"),
    ("exclude slip in level", HEAD + "factors: {model: [ppc, reactor]}\nexclude:\n  - {model: recator}\n", 5, "did you mean `reactor`?"),
    ("exclude no level", HEAD + "factors: {load.connections: [1, 2]}\nexclude:\n  - load.connections: 3\n", 5, "`3` is not a level"),
    ("exclude several", HEAD + "factors: {model: [ppc, reactor]}\nexclude: [{model: [ppc, reactor]}]\n", 4, "one entry for each level"),
    ("exclude everything by nothing", HEAD + "factors: {model: [ppc, reactor]}\nexclude: [{}]\n", 4, "an empty entry"),
    ("exclude twice", HEAD + "factors: {model: [ppc, reactor]}\nexclude:\n  - {model: ppc}\n  - {model: ppc}\n", 6, "excludes nothing"),
    ("exclude a part again", HEAD + "factors: {model: [ppc, reactor], load.connections: [1, 2]}\nexclude:\n  - {model: ppc}\n  - {model: ppc, load.connections: 1}\n", 6, "excludes nothing"),
    ("exclude all", HEAD + "factors: {model: [ppc]}\nexclude: [{model: ppc}]\n", 4, "leaves no combination"),
]  # fmt: skip

FORM = re.compile(r".+?\.yaml:\d+: .+?; .+", re.DOTALL)


@pytest.mark.parametrize(("text", "line", "words"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_mistake_is_told_at_its_line(text: str, line: int, words: str, load: Load) -> None:
    with pytest.raises(SpecError) as caught:
        load(text)
    assert caught.value.exit_code == EXIT_BAD_INPUT
    assert [problem for problem in caught.value.problems if not FORM.fullmatch(problem)] == []
    told = [problem for problem in caught.value.problems if f"spec.yaml:{line}: " in problem and words in problem]
    assert told, caught.value
    assert len(told) == 1


SINGLE = {
    "two labels for one",
    "exclude slip in level",
    "option that one model lacks",
    "unit slip",
    "unknown model",
    "tag",
    "image without port",
    "both image and url",
    "url with a path",
    "options of an image",
    "image without port in a set",
    "body of what has none of ours",
}


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_one_mistake_is_one_problem(name: str, load: Load) -> None:
    with pytest.raises(SpecError) as caught:
        load(next(row[1] for row in BROKEN if row[0] == name))
    assert len(caught.value.problems) == 1


def test_every_problem_is_told_in_one_go(load: Load) -> None:
    with pytest.raises(SpecError) as caught:
        load(
            "version: 1\n"
            "titel: Which?\n"
            "base:\n"
            "  options: {batch: 0}\n"
            "  load: {window: 5, lifetime: keepalive}\n"
            "factors:\n"
            "  model: [ppc, recator]\n"
            "  load.conections: [1]\n"
            "exclude: [{model: tcp, load.kind: open}]\n"
            "seed: x\n"
        )
    lines = [int(problem.split(".yaml:")[1].split(":")[0]) for problem in caught.value.problems]
    assert lines == [1, 2, 4, 5, 5, 7, 8, 9, 9, 10]


def test_bytes_that_are_not_utf8(load: Load) -> None:
    with pytest.raises(SpecError, match=r"spec\.yaml:2: byte \d+ is not UTF-8"):
        load(b"version: 1\ntitle: caf\xe9\n")


def test_a_byte_order_mark_is_no_mistake(load: Load) -> None:
    assert load(b"\xef\xbb\xbf" + HEAD.encode()).title == "Which?"


@pytest.mark.parametrize(
    "load_and_balancer",
    [
        "balancer: haproxy-http, load: {connections: 1}",  # spread by request
        "balancer: haproxy-tcp, load: {connections: 1, lifetime: 10}",  # the next connection is for the next server
        "balancer: haproxy-tcp, load: {connections: 1, kind: hold, rate: 9/s, growth: 50/s}",  # more come
        "balancer: direct, load: {connections: 2}",
    ],
)
def test_few_connections_are_no_mistake_where_every_server_comes_to_its_share(
    load_and_balancer: str, load: Load
) -> None:
    assert load(HEAD + f"base: {{servers: 2, {load_and_balancer}}}\n").base.servers == 2
