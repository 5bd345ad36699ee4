"""The load client as a service: what it is told to do, in the words of its contract (docs/contract/). Pure."""

from collections.abc import Sequence

from harness.clients import ClientPlan
from harness.deploy import Reached
from harness.placement import PlacedClient
from harness.proof import Expected
from harness.runtime.base import ServiceSpec
from harness.spec.contract import ClientConfig, ClientRequest
from harness.spec.experiment import Trial


def client_config(
    reached: Reached,
    trial: Trial,
    *,
    part: PlacedClient,
    everyone: int,
    plateau_s: float = 0.0,
    seed: int = 1,
) -> ClientConfig:
    """The load client's configuration for a trial.

    Args:
        reached: what to load, and what a right answer is.
        trial: how to load it.
        part: which part of the load it makes, with how many processes, and from which addresses.
        everyone: processes of all clients together.
        plateau_s: how long connections are held after the window at most; the client then waits with the first one, too.
        seed: of the schedule, the think times and the mix.
    """
    load, request, trust = trial.load, trial.request, reached.trust
    return ClientConfig(
        url=reached.url,
        method=request.method,
        headers=request.headers,
        body_bytes=request.body.bytes,
        mix=client_mix(trial, reached.expected) if request.mix else (),
        kind="open" if load.kind == "capacity" else load.kind,
        servers=reached.addresses,
        connections=part.connections,
        first_connection=part.first_connection,
        rate_per_s=load.rate.per_s if load.rate else None,
        rates_per_s=tuple(rate.per_s for rate in load.rates),
        shape=load.shape,
        arrivals=load.arrivals,
        seed=seed,
        think_s=load.think.s,
        thinking=load.thinking,
        growth_per_s=load.growth.per_s if load.growth else None,
        processes=part.plan.processes,
        first_process=part.first_process,
        all_processes=None if everyone == part.plan.processes else everyone,
        sources=part.plan.sources,
        lifetime=load.lifetime,
        warmup_s=load.warmup.s,
        window_s=load.window.s,
        timeout_s=load.timeout.s,
        plateau_s=plateau_s,
        wait_for_start=True,
        wait_to_connect=plateau_s > 0,
        expect_status=reached.expected[0].status,
        expect_body_bytes=reached.expected[0].body_bytes,
        tls_authorities=trust.authorities if trust else None,
        tls_check=trust.check if trust else "full",
    )


def client_mix(trial: Trial, expected: Sequence[Expected]) -> tuple[ClientRequest, ...]:
    """Every kind of request of a trial's mix, for the client.

    Args:
        trial: whose requests.
        expected: what a right answer to each is, as it was proved.
    """
    return tuple(
        ClientRequest(
            weight=kind.weight,
            path=kind.path or "/",
            method=kind.method or "GET",
            headers=kind.headers or {},
            body_bytes=kind.body.bytes if kind.body else 0,
            expect_status=right.status if right.status is not None else kind.expect,
            expect_body_bytes=right.body_bytes,
        )
        for kind, right in zip(trial.request.kinds, expected, strict=True)
    )


def client_spec(name: str, config: ClientConfig, cores: Sequence[int], client: ClientPlan) -> ServiceSpec:
    """The load client as a service."""
    return ServiceSpec(
        name=name,
        role="client",
        image="client",
        config=config.model_dump(mode="json"),
        cores=cores,
        open_files=client.open_files,
    )
