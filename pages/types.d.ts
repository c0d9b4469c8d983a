// Types of the console's JavaScript, checked by `make check`. The wire shapes are those of the REST API.

type Child = Node | string | null | undefined | false | Child[];

interface Window {
  ssConfig: {
    agents: Record<string, string>;
    canned_replies: CannedText[];
    canned_rejections: CannedText[];
    /** How long a decision is held; 0: not at all. */
    undo_seconds: number; has_customer_card: boolean;
    invisible: [number, number][];
    symbols: [number, number][];
    /** Of the currencies that have another number of decimals than two. */
    decimals: Record<string, number>;
  };
  ssMounts?: [string, ...any[]][];
  ssChat?: Promise<ConsoleChat>;
  resolveChat?: (chat: ConsoleChat) => void;
}

/** What Gradio's listeners in the page call. */
interface ConsoleChat { thread: () => string; startNew: () => void }

/** What `shell/events.js` carries: WebSocket frames by their type, then the tabs' own events. */
interface ConsoleEvents {
  "*": { type: string; thread_id?: string; seq?: number };
  message: { thread_id: string; seq: number; role: string; content: string; message_id: string };
  /** The server has a message that this window sent; `recorded`: it had it before. */
  message_accepted: { thread_id: string; message_id: string; recorded: boolean };
  /** `message_id`: that of a message that was refused. */
  error: { code: string; message: string; thread_id?: string; seq?: number; message_id?: string };
  approvals: { items: Approval[]; more: boolean };
  approval: { approval: Approval };
  escalations: { items: EscalationRecord[] };
  freezes: { items: Freeze[] };
  escalation_record: { escalation: EscalationRecord };
  conversations: InboxChange;
  /** A customer's id: this page knows their name now. */
  customer_named: string;
  /** A thread id: opens it in the Inbox. */
  inbox_open: string;
  state: "live" | "lost";
  me: User;
  /** The pending approvals, see `approvals/pending.js`. */
  pending_changed: undefined;
  /** An approval id, for the tab "Approvals". */
  show_in_list: string;
  /** What decisions are held, see `approvals/held.js`. */
  held_changed: undefined;
  /** The pending approvals have to be sent again. */
  request_pending: undefined;
  /** Approvals whose held decision was undone. */
  undone: string[];
  show_approvals: undefined;
  /** An approval id. */
  show_approval: string;
  /** A job id; null closes the open import. */
  import_changed: string | null;
  conversations_changed: undefined;
  /** The query of the chosen range and filters. */
  analytics_range: Record<string, string>;
  replay_find: { params: URLSearchParams; range: string };
  /** `step` is counted from 1. */
  replay_open: { threadId: string; step?: number };
  /** A thread id; empty where none is open any more. */
  replay_opening: string;
  replay_closed: undefined;
  replay_shown: { threadId: string; outline: Outline };
  /** Places are counted from 0. */
  replay_at: number;
  replay_go: number;
}

/** A text that people choose instead of typing it: a reply, or the reason of a rejection. */
interface CannedText { title: string; text: string }

interface User { name: string; role: "operator" | "lead" | "admin"; login: boolean; display_name?: string }

interface JsonSchema {
  type?: string | string[];
  enum?: unknown[];
  default?: unknown;
  required?: string[];
  properties?: Record<string, JsonSchema>;
}

// Approvals

type Decision = "approve" | "reject" | "edit" | "respond";
type CardAction = Decision | "select" | "claim" | "history";
type ApprovalOutcome = "approved" | "rejected" | "edited" | "expired" | "responded" | "withdrawn" | "pending";

interface EffectLine { subject: string; field: string; before: string; after: string }

/** In hundredths of a currency. */
interface Amount { minor: number; currency: string | null }

/** A decision that is not sent yet. */
interface Held {
  ids: Set<string>;
  text: string;
  element: HTMLElement;
  notes: HTMLElement;
  countdown: HTMLElement;
  /** In milliseconds of this browser's clock. */
  endsAt: number;
  timer: number;
  isSending: boolean;
  send: () => Promise<void>;
}

interface ApprovalContext {
  words: { at: string; role: "customer" | "agent" | "colleague"; by: string | null; content: string }[];
  related: { relation: "duplicate" | "same_thread" | "same_customer"; approval: Approval }[];
  changed_since: EffectLine[] | null;
}

interface BatchOutcome { approval_id: string; approval: Approval | null; error: { message: string } | null }

/** An API client. All but its name is what it says of itself. */
interface Caller {
  name: string;
  client_name?: string | null;
  client_version?: string | null;
  session?: string | null;
  reason?: string | null;
}

/** The order of a list of approvals. */
type ListSort = "expiry" | "risk" | "amount" | "oldest";

/** A caller as leads see it. */
interface CallerStatus {
  name: string;
  credential: "key" | "user" | "none";
  owner: string | null;
  approvers: string | null;
  thread_prefix: string;
  tools: { name: string; access: "read" | "write" | null }[];
  writes_per_hour: number | null;
  calls_per_minute: number | null;
  max_pending: number;
  pending: number;
  last_used_at: string | null;
  calls: number;
  auto_approved: number;
  approved: number;
  rejected: number;
  expired: number;
  disabled: { by: string; since: string; reason: string } | null;
}

interface Approval {
  approval_id: string;
  thread_id: string;
  customer_id: string | null;
  agent: string;
  action: string;
  args: Record<string, unknown>;
  args_schema: JsonSchema | null;
  summary: string;
  risk: string;
  status: ApprovalOutcome;
  execution: string | null;
  execution_reason: string | null;
  amount: Amount | null;
  duplicate_key: string;
  asked_by: string | null;
  /** Whom the call is for. `verified`: a website has vouched for the customer. */
  customer?: { id: string; verified: boolean; name?: string | null; email?: string | null } | null;
  /** The API client that requested the call; null for an agent. */
  caller?: Caller | null;
  facts?: Record<string, unknown> | null;
  requested_at: string;
  expires_at: string;
  decided_at: string | null;
  decided_by: string | null;
  reason: string | null;
  allowed?: string[];
  need?: string;
  because?: string | null;
  votes?: { by: string }[];
  notes?: number;
  effect?: EffectLine[] | null;
  changed?: EffectLine[] | null;
  /** Where the call goes, if its tool was imported. */
  target?: { method: string; url: string } | null;
  claimed_by: string | null;
  claimed_until: string | null;
  /** Since when its time stands still, because its call is frozen. */
  paused_at?: string | null;
  /** It is approved, and its call waits for the end of a freeze. */
  parked?: boolean;
  /** Groups of users of each of which somebody must approve. */
  approvers?: string[];
}

/** A freeze in effect; `scope` is `all`, `agent:NAME`, `tool:NAME` or `caller:NAME`. */
interface Freeze { scope: string; reason: string; by: string; since: string; parked: number; paused: number }

interface HistoryEntry { at: string; kind: string; actor: string; via: string | null; detail: Record<string, any> }

interface ApprovalHistory { element: HTMLDetailsElement; update: (approval: Approval) => void }

interface Card {
  id: string;
  /** What the ids of its inputs begin with: two views may show one approval. */
  view: string;
  approval: Approval;
  element: HTMLElement;
  countdown: HTMLElement;
  frozen: HTMLElement;
  requested: HTMLElement;
  body: HTMLElement;
  select: HTMLInputElement;
  /** Where a risk is shown that is not the usual one. */
  marks: HTMLElement;
  /** Where a list says which one of how many it is. */
  position: HTMLElement;
  claim: HTMLElement;
  claimButton: HTMLButtonElement;
  duplicate: HTMLElement;
  notice: HTMLElement;
  history: ApprovalHistory;
  buttons: Partial<Record<Decision, HTMLButtonElement>>;
  secondsLeft: number;
  isBusy: boolean;
  /** This window sent the decision. */
  isDecidedHere: boolean;
  /** The server refused this window's decision, as another was first. */
  isRefused: boolean;
  /** The end of the claim that this window was warned of. */
  warnedUntil: string | null;
}

/**
 * `selected` is called when the card's checkbox changes, `failed` with an error of a claim. `large`: the card is the
 * details beside a list, which has the checkbox; `open` shows another approval, and `back` the list.
 */
interface CardOptions {
  failed: (error: unknown) => void;
  selected?: (card: Card) => void;
  large?: { select: HTMLInputElement; open: (id: string) => void; back: () => void } | null;
}

/** `takeFocus`: whether the form's first field gets the focus. */
interface FormOptions { takeFocus?: boolean }

interface ArgumentField {
  name: string;
  input: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;
  read: () => unknown;
}

interface NotificationRecord {
  notification_id: string;
  target: string;
  recipient: string;
  event: string;
  error: string | null;
  recorded_at: string;
}

interface EscalationRecord {
  escalation_id: string;
  thread_id: string;
  reason: string;
  status: string;
  error: string | null;
  times: number;
  requested_at: string;
  last_at: string;
  handled_by: string | null;
}

// Conversations and replay

interface Conversation {
  thread_id: string;
  customer_id: string | null;
  opening: string | null;
  last_at: string;
  agents: string[];
  status: string;
  outcome: string | null;
}

// Inbox

interface InboxItem {
  thread_id: string;
  customer_id: string | null;
  customer: Customer | null;
  owner: string | null;
  opening: string | null;
  started_at: string;
  last_at: string;
  last: { role: "customer" | "agent" | "colleague"; by: string | null; text: string; at: string } | null;
  last_seq: number;
  status: "escalated" | "waiting" | "taken" | "active" | "ended";
  since: string | null;
  pending: number;
  escalation: { escalation_id: string; reason: string; kind: string | null; requested_at: string } | null;
  taken_by: string | null;
  taken_at: string | null;
  unread: boolean;
  is_running: boolean;
  notes: number;
}

interface Customer { id: string; verified: boolean; name?: string | null; email?: string | null }

/** Operators are sent no counts. */
interface InboxChange { items: InboxItem[]; gone: string[]; counts: Record<string, number> | null }

interface ColleagueNote { note_id: string; thread_id: string; noted_by: string; noted_at: string; content: string }

interface InboxCustomer {
  thread_id: string;
  customer: Customer | null;
  has_card: boolean;
  approvals: Approval[];
  earlier: InboxItem[];
  notes: ColleagueNote[];
}

/** What is typed and not sent in a conversation. `messageId` is of a reply that may have been recorded. */
interface InboxDraft { isNote: boolean; reply: string; note: string; release: string; messageId: string | null; noteId: string | null }

interface Outline {
  started_at: string;
  steps: number;
  /** Steps in a page. */
  page: number;
  /** For each page, the event number before its first step. */
  pages: number[];
  messages: number;
  channels: string[];
  tokens: { input: number; output: number };
  cost_usd: number | null;
  /** Places of steps, counted from 1. */
  failed: number[];
  approvals: number[];
  escalations: number[];
  found: number[];
}

/** A recorded event, with the fields of its type. */
type Step = { type: string; at: string; agent?: string } & Record<string, any>;
type DiffStep = Step & { mark: "same" | "then" | "now" };

// API import

interface Finding { severity: string; message: string; place: string }

interface Job {
  job_id: string;
  kind: string;
  status: string;
  title: string;
  source: string;
  created_at: string;
  error: string | null;
  progress: { step: string };
  format: string;
  version: string;
  can_be_worded: boolean;
  warnings: string[];
  findings: Finding[];
  base_url: string | null;
  variables: Record<string, string>;
  servers: { url: string; variables?: Record<string, { default?: string }> }[];
  hosts?: Host[];
  out_of_use?: string[];
  schemes: { name: string; kind: string }[];
  credentials: string[];
}

/** An origin that tools of an import call. */
interface Host {
  origin: string;
  operations: string[];
  schemes: string[];
  token_schemes: string[];
  is_own: boolean;
  is_allowed: boolean;
}

/** An operation that stands in the way of a change. */
interface BlockedOperation {
  key: string;
  tool_name: string;
  message: string;
}

/** Whose data an operation is about. */
interface CustomerRule {
  source: "argument" | "lookup" | "none" | "unknown";
  argument?: string;
  operation?: string;
  arguments?: Record<string, string>;
  result?: string;
  confirmed?: boolean;
}

interface Operation {
  key: string;
  method: string;
  path: string;
  tool_name: string;
  description: string;
  agent: string;
  access: "read" | "write";
  read_proposed: boolean;
  needs_approval: boolean;
  idempotent: boolean;
  enabled: boolean;
  risk: string;
  tokens: number;
  change: "new" | "same" | "changed" | "gone";
  changes: EffectLine[];
  reasons: string[];
  customer: CustomerRule | null;
  customer_lookups: CustomerRule[];
  findings: Finding[];
  schema: JsonSchema | null;
}

/** What an operation's details need of the review. */
interface OperationReview {
  isEditable: boolean;
  isSwitchable: boolean;
  change: (operations: Operation[], changes: object) => Promise<void>;
  refreshDetails: (operation: Operation) => void;
  call: (operation: Operation, args: object) => Promise<unknown>;
}

// Analytics

/** Filters of conversations, or a `figure` of the analytics and a `line` of it. */
type MetricQuery = Record<string, string | string[]>;

interface Outcomes { resolved: number; resolved_with_approval: number; escalated: number; rejected: number; abandoned: number }

interface Percentiles { p50: number | null; p95: number | null; p99: number | null }

/** One hour or day. */
interface Bucket extends Outcomes {
  at: string;
  conversations: number;
  approvals: number;
  by_policy: number;
  of_known_customers: number;
  reopened: number;
  turns_to_resolution: number | null;
  seconds_to_decide: number | null;
  latency_ms: Percentiles;
  tokens: number;
  cost_usd: number | null;
  hours_saved: number;
}

interface DecisionTimes { median_seconds: number | null; p95_seconds: number | null }

interface LeadMetric extends DecisionTimes, Partial<Record<ApprovalOutcome, number>> {
  decided_by: string;
  decided: number;
  /** Decisions under three seconds. */
  hasty: number;
  hasty_share: number;
}

interface ToolMetric { tool: string | null; calls: number; errors: number }

interface Metrics {
  range: string;
  since: string;
  until: string;
  filters: Record<string, string | null>;
  conversations: number;
  outcomes: Outcomes;
  resolution_rate: number | null;
  escalation_rate: number | null;
  reopened: { rate: number | null; reopened: number; resolved: number };
  turns_to_resolution: { median: number | null; p95: number | null };
  approvals: Record<ApprovalOutcome, number> & {
    requested: number; by_policy: number;
    median_seconds_to_decide: number | null; p95_seconds_to_decide: number | null;
  };
  leads: LeadMetric[];
  approval_tools: (DecisionTimes & Partial<Record<ApprovalOutcome, number>> & { tool: string; requested: number })[];
  agents: { agent: string; turns: number }[];
  callers: { caller: string; calls: number; approvals: number; errors: number }[];
  tools: ToolMetric[];
  tool_errors: { error_class: string; errors: number }[];
  escalations: { kind: string; escalations: number }[];
  latency_ms: Percentiles;
  first_token_ms: Percentiles;
  tokens: { input: number; output: number };
  cost_usd: number | null;
  cost_per_conversation_usd: number | null;
  models: { model: string; turns: number; input: number; output: number; cost_usd: number | null }[];
  hours_saved: { hours: number };
  series: Bucket[];
  previous?: Metrics | null;
}
