"""Every service of the application, built once and connected; the interfaces call these."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.base import BaseCheckpointSaver
from limits.storage import Storage

from smart_support import clock
from smart_support.actions.callers import Callers
from smart_support.actions.direct_reads import DirectReads
from smart_support.actions.overview import CallerOverview
from smart_support.actions.service import Actions
from smart_support.actions.store import ActionStore
from smart_support.actions.turn import ActionDependencies, ActionTurn
from smart_support.agents.assembly import Assembler, Assembly
from smart_support.agents.budget import Budget
from smart_support.agents.function_call import FunctionCallModel
from smart_support.agents.model_client import Models
from smart_support.agents.models import chat_models
from smart_support.agents.prices import Prices
from smart_support.agents.team import (
    AgentSpec,
    Personality,
    Team,
    check_callers,
    check_ceilings,
    check_customer_card,
    check_policy,
    load_team,
)
from smart_support.agents.tool_selection import FIND
from smart_support.analytics.ad_hoc_sql import AdHocSql
from smart_support.analytics.metrics import Metrics
from smart_support.analytics.replay import Replay
from smart_support.approvals.claims import Claims
from smart_support.approvals.disabled_callers import DisabledCallers
from smart_support.approvals.freezes import Freezes
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.quota import Quota
from smart_support.audit import AuditTrail
from smart_support.concurrency import in_background
from smart_support.connectors.mcp_client import McpClient
from smart_support.connectors.review.import_service import ImportedTools, ImportService, IsRequired, Unusable
from smart_support.connectors.review.import_store import ImportJob, ImportStore
from smart_support.connectors.review.vault import Vault
from smart_support.conversation.approval_context import ApprovalContexts
from smart_support.conversation.broadcast import Broadcast
from smart_support.conversation.cluster_relay import ClusterRelay
from smart_support.conversation.customer_cards import CustomerCards
from smart_support.conversation.erasure import Erasure
from smart_support.conversation.graph_adapter.adapter import GraphAdapter, pregel_of
from smart_support.conversation.graph_adapter.checkpoints import Checkpoints
from smart_support.conversation.graph_adapter.foreign_graph import ForeignGraph
from smart_support.conversation.graph_adapter.own_graph import OwnGraph
from smart_support.conversation.inbox import Inbox
from smart_support.conversation.limits import Limits
from smart_support.conversation.recovery import Recovery
from smart_support.conversation.sessions import SessionManager
from smart_support.conversation.side_thread import SideThreads
from smart_support.conversation.takeovers import Takeovers
from smart_support.conversation.turn import TurnDependencies
from smart_support.conversation.turn_places import TurnPlaces
from smart_support.conversation.turn_runner import TurnRunner
from smart_support.demo import history
from smart_support.demo.bank.tools import FintechTools
from smart_support.demo.model.chat_model import DemoChatModel
from smart_support.demo.saas.tools import SaasTools
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.demo.toolset import DemoToolset
from smart_support.errors import ConfigError, InvalidRequest
from smart_support.escalations.escalations import Escalations
from smart_support.events import EscalationKind
from smart_support.garbage_collection import paused_garbage_collection
from smart_support.gate.customer_binding import CustomerBinding
from smart_support.gate.gate import Gate
from smart_support.identity.account_changes import record_account_changes
from smart_support.identity.customer_tokens import CustomerTokens
from smart_support.identity.failed_login_audit import FailedLogins
from smart_support.identity.known_logins import KnownLogins
from smart_support.identity.logins import Logins
from smart_support.identity.single_sign_on.people import people_of
from smart_support.identity.single_sign_on.service import SingleSignOn
from smart_support.identity.throttle import LoginThrottle
from smart_support.identity.users import Accounts
from smart_support.notifications.decide_links import DecideLinks
from smart_support.notifications.delivery import Notifications
from smart_support.notifications.targets import load_targets, unknown_names
from smart_support.observability import log, tracing
from smart_support.observability.metrics import Gauges, Meters
from smart_support.outbound.address_policy import parse_allowed_hosts
from smart_support.outbound.client import GuardedClient
from smart_support.settings import ROOT, Settings
from smart_support.storage.answer_files import AnswerFiles
from smart_support.storage.coordination.base import Bus
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.duckdb_file import check_free
from smart_support.storage.secret_key import secret_key
from smart_support.storage.state.base import StateDatabase
from smart_support.storage.stores import open_stores
from smart_support.tools.handoff import handoff_tool
from smart_support.tools.registry import (
    Registry,
    Tool,
    tools_of,
)
from smart_support.version import __version__

logger = log.get_logger()
# How long a turn that lost its store waits until it is tried again.
SECONDS_AFTER_LOST_STORE = 2.0
# The demo business of each template. A custom agents file can use the tools of the template's business.
_TOOLSETS: dict[str, type[DemoToolset]] = {
    "e-commerce": CommerceTools,
    "saas": SaasTools,
    "fintech": FintechTools,
}
# What is pending now, for the gauges of /metrics.
_PENDING = """
    SELECT count(*) AS approvals_pending, min(requested_at) AS oldest,
        (SELECT count(*) FROM escalations WHERE status IN ('sending', 'failed')) AS escalations_undelivered,
        (SELECT count(*) FROM escalations WHERE handled_by IS NULL) AS escalations_unhandled,
        (SELECT count(*) FROM approvals WHERE parked = 1 AND execution = 'not_started') AS approvals_parked,
        (SELECT count(*) FROM freezes WHERE lifted_at IS NULL) AS freezes,
        (SELECT count(*) FROM notifications WHERE status = 'waiting') AS notifications_waiting,
        (SELECT count(*) FROM notifications WHERE status = 'failed') AS notifications_failed,
        (SELECT coalesce(max(number), 0) FROM audit) AS audit_rows
    FROM approvals WHERE status = 'pending'
"""
# Stands for a foreign graph, whose agents are unknown.
_FOREIGN_TEAM = Team(
    company="Smart Support",
    personality=Personality(),
    agents=(AgentSpec(name="agent", title="Agent", description="The graph this app was made with."),),
    fallback="agent",
    source="create_app(graph=...)",
)


class ClosableSocket(Protocol):
    """An open socket of a client."""

    async def send_away(self) -> None:
        """Send what is still to be sent, then close."""


class Services:
    """All services. Made with the application, and opened when it starts.

    Attributes:
        accounts: users and API keys. `logins`, `known_logins`, `login_throttle`, `failed_logins`: browser
            logins. `single_sign_on`: those with an identity provider; None without one.
        audit_trail: records actions other than approvals, such as exports, backups and logins.
        turns: starts turns, decides approvals and follows events. `recovery`: turns that no user starts.
        actions: tool calls that API clients request over REST and MCP. `caller_overview`: who these clients
            are, and what they do. `disabled_callers`: whose keys people have disabled.
        takeovers: people take conversations, answer, and hand them back. `erasure`: erases conversations.
        inbox: conversations by what they need of a person. `customer_cards`: what a customer has.
        approvals: the queue of approvals. `claims`: claims and notes. `freezes`: what people have
            frozen. `escalations`: calls for a human. `notifications`: messages to people and programs
            outside the console. `decide_links`: the links in them.
        meters: the metrics of this process. `sockets`: open WebSockets.
        when_tools_change: called when imported tools are put to use, or taken out of use.
        metrics, replay, ad_hoc_sql: analytics, recorded conversations, and SQL queries by an admin.
        customer_tokens: verifies whom a website vouches for.
        team, registry: the agents and all tools, with imported ones. Tools added before the start stay.
        own_team, own_tools: the agents and tools without imported ones.
        demo, toolset: the demo business and its tools; `demo` is None with a foreign graph.
        chat_models: the models to call, in order. `demo_model`: the demo model, if it is in use.
        suggestion_model: suggests names for imported operations; None for the demo model.
    """

    event_log: EventStore
    state: StateDatabase
    session_manager: SessionManager
    broadcast: Broadcast
    approvals: ApprovalQueue
    freezes: Freezes
    disabled_callers: DisabledCallers
    claims: Claims
    logins: Logins
    known_logins: KnownLogins
    login_throttle: LoginThrottle
    failed_logins: FailedLogins
    single_sign_on: SingleSignOn | None
    audit_trail: AuditTrail
    escalations: Escalations
    notifications: Notifications
    decide_links: DecideLinks
    imports: ImportService
    turns: TurnRunner
    recovery: Recovery
    actions: Actions
    caller_overview: CallerOverview
    takeovers: Takeovers
    inbox: Inbox
    customer_cards: CustomerCards
    erasure: Erasure
    metrics: Metrics
    replay: Replay
    ad_hoc_sql: AdHocSql

    def __init__(
        self,
        settings: Settings,
        *,
        graph: Any = None,
        chat_model: BaseChatModel | None = None,
        team: Team | None = None,
        wrap_tool: Callable[[Tool], Tool] | None = None,
    ) -> None:
        """
        Args:
            graph: a LangGraph graph, in place of the configured agents.
            chat_model: a LangChain chat model, in place of the one that the settings name.
            team: the agents, in place of those in the agents file.
            wrap_tool: applied to each tool of the demo business, for a rehearsal.

        Raises:
            ConfigError: the settings name a model or agents that can't be used.
        """
        self.settings = settings
        try:
            parse_allowed_hosts(settings.allowed_hosts)
        except ValueError as error:
            raise ConfigError(f"SMART_SUPPORT_ALLOWED_HOSTS: {error}") from None
        self.accounts = Accounts(settings.users_file, settings.api_keys, settings.oidc_issuer)
        self.customer_tokens = CustomerTokens(settings.customer_token_key, settings.customer_token_audience)
        self.own_team = team or (_FOREIGN_TEAM if graph is not None else load_team(settings.agents_path))
        self.team, self.registry = self.own_team, Registry()
        self._targets = load_targets(settings.notify_file) if settings.notify_file else ()
        self._callers = Callers(self.own_team, self.accounts, self.registry)
        self._caller_warnings = check_callers(self.own_team, self.accounts)
        self.toolset = _TOOLSETS[settings.template]
        self._graph, self._wrap_tool = graph, wrap_tool
        uses_demo_model = graph is chat_model is None and settings.model == "demo"
        self.demo_model = DemoChatModel() if uses_demo_model else None
        self.chat_models = [] if graph is not None else chat_models(settings, chat_model or self.demo_model)
        # The demo model can't suggest names or descriptions.
        can_suggest = bool(self.chat_models) and self.demo_model is None
        self.suggestion_model = FunctionCallModel(self.chat_models[0].model) if can_suggest else None
        self.demo: DemoStore | None = None
        # None if a foreign graph keeps its own checkpoints.
        self._checkpoints: BaseCheckpointSaver[Any] | None = None
        self._opened = AsyncExitStack()
        self._relay: ClusterRelay | None = None
        self._warnings: list[str] = []
        self._unusable: list[Unusable] = []
        self.sockets: set[ClosableSocket] = set()
        self.when_tools_change: set[Callable[[], None]] = set()
        self.meters = Meters(__version__)

    def sandbox(
        self,
        folder: Path,
        *,
        model: BaseChatModel,
        wrap_own: Callable[[Tool], Tool],
        wrap_imported: Callable[[Tool], Tool],
    ) -> Self:
        """Make services for a rehearsal, not opened yet: the same agents, with no way to other systems.

        They differ in their empty stores in `folder`, a copy of the demo business, the `model`, and the
        wrapped tools. They have no logins (decisions count as recorded), no webhook, no rate limit.

        Raises:
            InvalidRequest: the agents are a graph that this project did not build.
        """
        if self.demo is None:
            raise InvalidRequest("a graph of your own can't be run again on a copy")
        self.demo.copy_to(folder / f"{self.toolset.business}.sqlite")
        changes = {
            "data_dir": folder,
            "database_url": "",
            "users_file": None,
            "api_keys": "",
            "oidc_issuer": "",
            "escalation_webhook_url": "",
            "notify_file": None,
            "allowed_hosts": "",
            "mcp_servers": {},
            "keep_days": 0,
            "rate_limit": "100000/1s",
            "session_ttl_seconds": 3600,
        }
        settings = self.settings.model_copy(update=changes)
        inner = type(self)(settings, chat_model=model, team=self.team, wrap_tool=wrap_own)
        own = {tool.name for tool in self.own_tools}
        inner.registry.add(*(wrap_imported(tool) for tool in self.registry if tool.name not in own))
        return inner

    def is_demo_history(self, thread_id: str) -> bool:
        """Whether a conversation was generated by `demo-data`."""
        return thread_id.startswith(history.PREFIX)

    async def demo_history(self) -> list[str]:
        """The ids of the conversations that `demo-data` generated."""
        return await history.threads(self.event_log)

    def check(self) -> None:
        """Check, before the server starts, that the data folder can be used and the agents fit the tools.

        Raises:
            ConfigError: they don't; the message says what to do.
        """
        try:
            if not self.settings.database_url:
                check_free(self.settings.data_dir / "events.duckdb")
            if self._graph is None:
                with contextlib.closing(self._store()) as store:
                    own = Registry([*self.registry, *self._tools(store)])
                    check_policy(self.team, own)
                    check_ceilings(self.team, own)
                    check_customer_card(self.team, own)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"SMART_SUPPORT_DATA_DIR={self.settings.data_dir}: {reason}; choose another folder"
            ) from None

    @property
    def approval_contexts(self) -> ApprovalContexts:
        """What stands beside an approval."""
        return ApprovalContexts(self.approvals, self.session_manager, self.event_log, self._gate)

    async def open(self) -> None:
        """Open the stores, connect the services, and recover what a crash interrupted.

        Raises:
            ConfigError: a store can't be opened, or a policy does not fit the tools.
        """
        folder, settings = self.settings.data_dir, self.settings
        self._stores = stores = await self._opened.enter_async_context(
            open_stores(settings, self.meters.count)
        )
        self.state, self.event_log = stores.state, stores.event_log
        self.escalations = Escalations(self.state, settings, stores.locks)
        self._opened.push_async_callback(self.escalations.close)
        self.session_manager = SessionManager(
            self.state,
            settings.session_ttl_seconds,
            stores.bus.name,
            is_single_process=stores.bus.is_single_process,
        )
        self.broadcast = Broadcast(self.event_log)
        self.approvals = ApprovalQueue(self.state, settings.approval_ttl_seconds, self.accounts)
        self.freezes = Freezes(self.state)
        self.freezes.subscribe(lambda _: self.approvals.wake())
        self.audit_trail = AuditTrail(self.state)
        await self._open_logins(stores.rates)
        self.claims = Claims(self.state, self.approvals)
        self.metrics = Metrics(self.event_log, settings.session_ttl_seconds, settings.minutes_saved)
        self.replay = Replay(self.event_log)
        self.ad_hoc_sql = AdHocSql(self.event_log)
        self._opened.push_async_callback(self.ad_hoc_sql.close)
        ledger = Ledger(self.state)
        self._gate = Gate(
            registry=self.registry,
            policy=self.own_team.policy,
            approvals=self.approvals,
            ledger=ledger,
            quota=Quota(self.state),
            escalate=self.escalations.escalate,
            customers=CustomerBinding(self._bound_customer, self.own_team.customers.unverified),
            handover_message=self.own_team.personality.escalation_message,
        )
        graph: GraphAdapter
        if self._graph is not None:
            graph, side_threads = self._foreign_graph(), None
        else:
            graph = await self._open_own()
            side_threads = SideThreads(graph, self.session_manager)
        checkpoints = Checkpoints(self._checkpoints) if self._checkpoints else None
        if checkpoints:
            self._opened.push_async_callback(checkpoints.close)
        limits = Limits(settings, stores.rates)
        self.turns = TurnRunner(
            dependencies=TurnDependencies(
                graph=graph,
                sessions=self.session_manager,
                approvals=self.approvals,
                ledger=ledger,
                event_log=self.event_log,
                broadcast=self.broadcast,
                escalate=self.escalations.escalate,
                prices=Prices(settings.model_prices),
                side_threads=side_threads,
                checkpoints=checkpoints,
            ),
            edit=self._gate.edit,
            limits=limits,
            places=TurnPlaces(settings.max_turns, settings.turn_wait_seconds, self.meters.count_refused_turn),
            locks=stores.locks,
            is_single_process=stores.bus.is_single_process,
            client_turn=partial(ActionTurn, self._action_dependencies()),
        )
        self._opened.push_async_callback(self.turns.close, settings.shutdown_seconds)
        self.takeovers = Takeovers(
            state=self.state,
            sessions=self.session_manager,
            turns=self.turns,
            limits=limits,
            escalations=self.escalations,
        )
        self._open_inbox()
        self._open_actions(limits)
        self.recovery = Recovery(
            turns=self.turns,
            sessions=self.session_manager,
            approvals=self.approvals,
            freezes=self.freezes,
            locks=stores.locks,
            is_single_process=stores.bus.is_single_process,
        )
        self.erasure = Erasure(
            state=self.state,
            event_log=self.event_log,
            sessions=self.session_manager,
            turns=self.turns,
            approvals=self.approvals,
            checkpoints=checkpoints,
            keep_days=settings.keep_days,
            due=folder / "compaction.due",
            files=AnswerFiles(folder),
        )
        self.erasure.resume_compaction()
        self._opened.push_async_callback(self.erasure.close)
        if not stores.bus.is_single_process:
            await self._join_cluster(stores.bus)
        await self._recover()
        await self._start_background_work()
        self._warn_if_leads_are_missing()
        self._warn_of_unknown_filters()
        for text in self._caller_warnings:
            logger.warning("callers", warning=text)
        logger.info(
            "started", model=settings.model, agents=len(self.team.agents), tools=len([*self.registry])
        )

    def _open_notifications(self) -> None:
        settings = self.settings
        key = settings.secret_key.encode() or secret_key(settings.data_dir / "secret.key")
        self.decide_links = DecideLinks(key, settings.link_base)
        self.notifications = Notifications(
            state=self.state,
            targets=self._targets,
            approvals=self.approvals,
            escalations=self.escalations,
            links=self.decide_links,
            console=settings.link_base,
            locks=self._stores.locks,
            count=self.meters.count_notification,
        )
        self._opened.push_async_callback(self.notifications.close)
        if self._targets and not settings.public_url:
            logger.warning(
                "links_are_local",
                links=settings.link_base,
                what_to_do="set SMART_SUPPORT_PUBLIC_URL to the address that others open",
            )

    async def _open_logins(self, rates: Storage) -> None:
        self.logins = Logins(self.state, self.accounts)
        self.known_logins = KnownLogins(self.state, self.accounts)
        self.login_throttle = LoginThrottle(rates, self.known_logins)
        self.failed_logins = FailedLogins(self.audit_trail, self.accounts)
        await record_account_changes(self.state, self.accounts.known())
        # Also without a provider: people who could log in before may have requested what waits now.
        self.accounts.remember(await people_of(self.state))
        self.single_sign_on = None
        if self.settings.oidc_issuer:
            self.single_sign_on = SingleSignOn(
                self.settings,
                accounts=self.accounts,
                state=self.state,
                logins=self.logins,
                trail=self.audit_trail,
                rates=rates,
            )
            await self._opened.enter_async_context(in_background(self.single_sign_on.prepare()))

    def _open_inbox(self) -> None:
        self.inbox = Inbox(
            state=self.state,
            sessions=self.session_manager,
            approvals=self.approvals,
            escalations=self.escalations,
            metrics=self.metrics,
            event_log=self.event_log,
            session_ttl_seconds=self.settings.session_ttl_seconds,
        )
        self._opened.push_async_callback(self.inbox.close)
        self.customer_cards = CustomerCards(self.registry, self.own_team.customer_card)

    def _action_dependencies(self) -> ActionDependencies:
        return ActionDependencies(
            store=ActionStore(self.state),
            gate=self._gate,
            approvals=self.approvals,
            sessions=self.session_manager,
            event_log=self.event_log,
            caller=self._callers.named,
            escalate=self.escalations.escalate,
        )

    def _open_actions(self, limits: Limits) -> None:
        self.disabled_callers = DisabledCallers(self.state)
        store = ActionStore(self.state)
        self.actions = Actions(
            callers=self._callers,
            tokens=self.customer_tokens,
            sessions=self.session_manager,
            store=store,
            gate=self._gate,
            turns=self.turns,
            broadcast=self.broadcast,
            limits=limits,
            locks=self._stores.locks,
            disabled=self.disabled_callers,
            reads=DirectReads(
                store=store, gate=self._gate, sessions=self.session_manager, event_log=self.event_log
            ),
        )
        self.caller_overview = CallerOverview(
            team=self.own_team,
            accounts=self.accounts,
            callers=self._callers,
            registry=self.registry,
            disabled=self.disabled_callers,
            state=self.state,
        )

    async def _recover(self) -> None:
        """Go on with what a crash cut off."""
        await self.freezes.refresh()
        await self.recovery.recover()
        await self.actions.recover()

    async def _finish_lost_turns_forever(self) -> None:
        """Go on with turns that lost their store, as after a crash, once it works again.

        Where several processes share a system, each looks for them all the time.
        """
        while self._relay is None:
            await self.turns.store_lost.wait()
            await asyncio.sleep(SECONDS_AFTER_LOST_STORE)
            self.turns.store_lost.clear()
            try:
                await self._recover()
            except Exception as error:
                logger.error("recovery_failed", error=repr(error))
                self.turns.store_lost.set()

    async def _start_background_work(self) -> None:
        self._open_notifications()
        await self.notifications.outbox.begin()
        for work in (
            self.recovery.expire_forever(),
            self.recovery.resume_unfrozen_forever(),
            self._finish_lost_turns_forever(),
            self.freezes.refresh_forever(),
            self.escalations.resend_interrupted(),
            self.notifications.send_forever(),
            self.inbox.backfill(),
            self.erasure.retire_forever(),
        ):
            await self._opened.enter_async_context(in_background(work))

    def _warn_if_leads_are_missing(self) -> None:
        """Warn if a rule requires more people than there are, or an empty group; API keys don't count."""
        if self.settings.oidc_issuer:
            return  # whom the identity provider knows is not known here
        people = self.accounts.decider_names
        if len(people) < 2 and any(rule.then == "two_leads" for rule in self.team.policy.rules):
            logger.warning(
                "two_leads_missing",
                people=len(people),
                what_to_do="add leads with python -m smart_support users add; API keys do not count",
            )

        for group in dict.fromkeys(name for rule in self.team.policy.rules for name in rule.approvers):
            if not any(self.accounts.is_in_group(name, group) for name in people):
                logger.warning(
                    "approver_group_empty",
                    group=group,
                    what_to_do="list leads under groups in the users file; nobody else can approve its calls",
                )

    def _warn_of_unknown_filters(self) -> None:
        """Warn of names in the filters of notifications that nothing has; a tool may be imported later."""
        if self._graph is not None:
            return  # what a foreign graph may request is not known here
        rules, callers = self.team.policy.rules, self.team.callers
        groups = {name for rule in rules for name in rule.approvers}
        for warning in unknown_names(
            self._targets,
            agents={one.name for one in self.team.agents} | {one.name for one in callers},
            tools={tool.name for tool in self.registry},
            groups=groups | {caller.approvers for caller in callers if caller.approvers},
        ):
            logger.warning("notify_file", warning=warning)

    async def _join_cluster(self, bus: Bus) -> None:
        """Receive messages from other processes, and take over the work of those that stopped."""
        parts = (bus, self.broadcast, self.event_log, self.approvals, self.escalations)
        more = (self.session_manager, self.freezes, self._use_stored_imports)
        self._relay = ClusterRelay(*parts, *more)
        self._relay.open()
        self._opened.push_async_callback(self._relay.close)
        await self._opened.enter_async_context(in_background(self.recovery.take_over_forever()))
        await self._opened.enter_async_context(in_background(self.actions.take_over_forever()))
        await self._opened.enter_async_context(in_background(self.escalations.resend_interrupted_forever()))

    async def metrics_text(self) -> bytes:
        """The metrics of this process in the text format of Prometheus."""
        (row,) = await self.state.read(_PENDING)
        oldest = row.pop("oldest")
        gauges = Gauges(
            **row,
            approval_oldest_seconds=(clock.now() - clock.parse(oldest)).total_seconds() if oldest else 0,
            event_log_waiting=self.event_log.waiting,
            event_log_lag_seconds=self.event_log.lag_seconds,
            turns_running=self.turns.running_count,
            turns_waiting=self.turns.places.waiting_count,
            sockets_open=len(self.sockets),
        )
        return self.meters.text(gauges)

    async def close(self) -> None:
        """Let turns end, then close everything in reverse order."""
        await self._opened.aclose()
        await asyncio.to_thread(tracing.close)

    async def _open_own(self) -> OwnGraph:
        """Open the demo business, the imports and the agents, and return their graph."""
        self.demo = store = self._store()
        self._opened.callback(store.close)
        self.own_tools = [*self.registry, *self._tools(store)]
        client = GuardedClient(parse_allowed_hosts(self.settings.allowed_hosts))
        self._opened.push_async_callback(client.aclose)
        mcp = McpClient(
            self.settings.mcp_servers,
            parse_allowed_hosts(self.settings.allowed_hosts),
            timeout_seconds=self.settings.tool_timeout_seconds,
        )
        self._opened.push_async_callback(mcp.close)
        self.imports = ImportService(
            ImportStore(self.state),
            Vault(self.state, self.settings.data_dir / "secret.key", self.settings.secret_key),
            client,
            mcp=mcp,
            max_bytes=self.settings.max_spec_bytes,
            timeout_seconds=self.settings.tool_timeout_seconds,
            files=AnswerFiles(self.settings.data_dir),
            reserved_names=lambda: [FIND, *(tool.name for tool in self.own_tools)],
            build_toolset=self._assemble,
            announce=self._announce_tools,
            locks=self._stores.locks,
        )
        await self.imports.worker.fail_interrupted()
        self._opened.push_async_callback(self.imports.worker.close)
        words = self.team.personality.escalation_message
        budget = Budget(self.settings, self.state, self._escalate, words)
        limits = self.settings.model_context_tokens, self.settings.fallback_seconds
        self._checkpoints = self._stores.checkpoints
        self._assembler = Assembler(
            self.own_team,
            self.own_tools,
            live_registry=self.registry,
            models=Models(self.chat_models, budget, *limits),
            gate=self._gate,
            checkpoints=self._checkpoints,
            taken_by=self.session_manager.taken_by,
        )
        check_policy(self.own_team, Registry(self.own_tools))
        check_ceilings(self.own_team, Registry(self.own_tools))
        check_customer_card(self.own_team, Registry(self.own_tools))
        await self.imports.activate_stored()
        return self._own_graph

    def _assemble(self, imported: ImportedTools, is_required: IsRequired) -> Callable[[], None]:
        """Combine the agents with imported tools, and return a function that activates the result.

        Raises:
            InvalidRequest: a required tool can't be used.
        """
        assembly = self._assembler.assemble(imported, is_required)
        return partial(self._activate, assembly, OwnGraph(assembly.graph, assembly.team.fallback))

    def _activate(self, assembly: Assembly, graph: OwnGraph) -> None:
        """Use other agents and tools from now on. Running turns keep their graph and see the new tools.

        It only assigns: whatever can fail was done when these were built, before a change was stored.
        """
        for text in assembly.warnings:
            if text not in self._warnings:
                logger.warning("agents_file", warning=text)
        for one in assembly.unusable:
            if one not in self._unusable:
                logger.warning("import_out_of_use", job_id=one.job_id, reason=one.message)
        self._warnings, self._unusable = assembly.warnings, assembly.unusable
        self.registry.replace(assembly.registry)
        self.team = assembly.team
        self._own_graph = graph
        if hasattr(self, "turns"):
            self.turns.use(self._own_graph)
        for callback in tuple(self.when_tools_change):
            callback()

    @property
    def has_imports(self) -> bool:
        """Whether tools can be imported; a foreign graph brings its own."""
        return self._graph is None

    def warnings(self) -> list[str]:
        """Problems of the agents file with the present tools, and unusable imports, in sentences."""
        return [*self._warnings, *self._caller_warnings, *(one.message for one in self._unusable)]

    def unusable(self, job_id: str) -> list[str]:
        """Why tools of an import are out of use, in sentences; empty if all of them can be called."""
        return [one.message for one in self._unusable if one.job_id == job_id]

    async def import_warnings(self, job: ImportJob) -> list[str]:
        """Problems that a reviewer of an import should know; in review, as if it were approved."""
        if job.status != "review":
            return [*self._warnings, *self.unusable(job.job_id)]
        # 5,000 tools take seconds; each collection meanwhile would stop the app for a quarter of a second.
        with paused_garbage_collection():
            tools = await self.imports.tools_after_approval(job)
            return await asyncio.to_thread(self._assembler.warnings_for, tools, job.job_id)

    def _announce_tools(self) -> None:
        if self._relay:
            self._relay.tools_changed()

    async def _use_stored_imports(self) -> None:
        if self._graph is None:
            await self.imports.activate_stored()

    def _store(self) -> DemoStore:
        business = self.toolset.business
        return DemoStore(self.settings.data_dir / f"{business}.sqlite", ROOT / "data" / business, business)

    def _tools(self, store: DemoStore) -> list[Tool]:
        # Programs beside this tree, such as a replay of recorded streams, put other tools in its place.
        return self.demo_tools(store)

    def demo_tools(self, store: DemoStore) -> list[Tool]:
        """The tools that come with the business, over a store of its data."""
        words = self.team.personality.escalation_message
        tools = [*tools_of(self.toolset(store)), handoff_tool(self._escalate, words)]
        return [*map(self._wrap_tool, tools)] if self._wrap_tool else tools

    async def _escalate(
        self,
        thread_id: str,
        reason: str,
        about: str | None = None,
        kind: EscalationKind | None = None,
    ) -> bool:
        return await self.escalations.escalate(thread_id, reason, about, kind)

    async def _bound_customer(self, thread_id: str) -> str | None:
        customer = await self.session_manager.customer_of(thread_id)
        return customer.id if customer else None

    def _foreign_graph(self) -> ForeignGraph:
        """The graph as it was given; one that keeps no checkpoints gets ours, or it could not wait."""
        graph, pregel = self._graph, pregel_of(self._graph)
        if pregel is not None and pregel.checkpointer is None:
            self._checkpoints = self._stores.checkpoints
            with_ours = pregel.copy({"checkpointer": self._checkpoints})
            graph = with_ours if graph is pregel else graph.model_copy(update={"bound": with_ours})
        return ForeignGraph(
            graph,
            self.team.fallback,
            self.event_log,
            keeps_our_checkpoints=self._checkpoints is not None,
            silence_seconds=self.settings.graph_timeout_seconds,
        )
