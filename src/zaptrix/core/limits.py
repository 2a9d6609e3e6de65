"""Every limit has a name and stands here; a platform's limit cites its page."""

from __future__ import annotations

# Attempts and waiting.
ATTEMPTS_MAX = 5
UNEXPECTED_RETRIES = 2
# So often a file is given to a portal without words, half a minute in all; then with some, so that what is not fetched
# holds nobody up.
FILE_ALONE_TRIES = 5
BACKOFF_FACTOR = 2
BACKOFF_STEPS_MAX = 10
BACKOFF_S_MAX = 60.0
OUTAGE_S_MAX = 24 * 3600.0  # how long an unavailable platform may delay a message before it is buried

# Webhooks. Meta posts at most 1,000 updates and 3 MB.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview
META_BODY_BYTES_MAX = 3 * 1024 * 1024
META_ITEMS_MAX = 1_000
BITRIX_BODY_BYTES_MAX = 2 * 1024 * 1024
# Who posts an event once does not wait long: a webhook that PostgreSQL does not answer in it is refused, or spooled.
DOOR_STORE_S_MAX = 3.0
# Callers' clocks. The server's own says how long a head may take, and how long a connection may be idle.
HEAD_S_MAX = 10.0
BODY_S_MAX = 10.0  # of a webhook, all of it; of an upload, from one part to the next
UPLOAD_BYTES_PER_S_MIN = 10_000  # on average, after the first seconds
ANSWER_TAKEN_S_MAX = 30.0
# Places: connections that one process keeps open. One that is idle costs 15 KB.
CONNECTIONS_MAX = 8_192
CONNECTIONS_SHARE = 4  # one address has no more than this part of them
CONNECTIONS_LOOK_S = 0.25
OPEN_FILES_SPARE = 512  # of a process, for what is no caller's connection
HEAD_BYTES_MAX = 64 * 1024
BODIES_BYTES_MAX = 128 * 1024 * 1024  # of callers that are not known yet, a process
# What waits on a host's disk for PostgreSQL: of portals that are known there, and of whom nobody can be asked about.
SPOOL_BYTES_MAX = 256 * 1024 * 1024
SPOOL_FILES_MAX = 200_000
SPOOL_UNKNOWN_BYTES_MAX = 16 * 1024 * 1024
SPOOL_UNKNOWN_FILES_MAX = 1_000
SPOOL_HELD_S = 60.0  # how often an event is tried again whose portal's secret could not be read
STRANGERS_FORM_BYTES_MAX = 64 * 1024  # up to here an unknown caller is told what is wrong with a form
FORM_DEPTH_MAX = 10
FORM_KEYS_MAX = 2_000
API_BODY_BYTES_MAX = 256 * 1024
FORM_FIELDS_MAX = 20

# WhatsApp. https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput
WHATSAPP_TEXT_MAX = 4_096
PAIR_INTERVAL_S = 6.0
PAIR_BURST = 45
WINDOW_HOURS = 24
WAMID_CHARACTERS_MAX = 255
# What is shown of a message of a kind that nobody here knows; what is left out is counted.
UNKNOWN_FIELDS_MAX = 60
UNKNOWN_FIELD_CHARACTERS_MAX = 1_000
MOVES_DAYS = 8  # Meta repeats a webhook for seven days: so late one move of a customer may come after the next
QUOTE_CHARACTERS_MAX = 300
QUOTE_LOOK_S = 0.2  # how often an answer looks whether what it quotes is known
QUOTE_WAIT_S_MAX = 3.0  # how long an answer waits for that while something is on its way to the customer
QUOTE_DAYS = 29  # WhatsApp shows no message above an answer that is older than about thirty
QUOTE_LOOKED_AT = 200  # messages of a conversation, in search of the one that an operator quotes
TYPING_AFTER_S = 1.0  # what is ready sooner is the answer itself
TYPING_EVERY_S = 20.0  # WhatsApp shows it for 25
SKETCH_MAX = 60  # characters of a message, to tell which one is meant
# Interactive messages. https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
INTERACTIVE_BODY_MAX = 1_024
LIST_BODY_MAX = 4_096
INTERACTIVE_HEADER_MAX = 60
INTERACTIVE_FOOTER_MAX = 60
LABEL_MAX = 20  # of what is pressed
CHOICES_MAX = 3
CHOICE_ID_MAX = 256
SECTIONS_MAX = 10
ROWS_MAX = 10  # of a list, altogether
ROW_ID_MAX = 200
ROW_TITLE_MAX = 24
ROW_DESCRIPTION_MAX = 72
FLOW_TEXT_MAX = 256
CARDS_SENT_MAX = 257
PLACE_TEXT_MAX = 1_000
EMOJI_CHARACTERS_MAX = 16
REACTION_DAYS = 30  # how old the message may be that is reacted to
REMINDERS_BATCH = 500  # windows that an operator is reminded of at a time

# Templates. https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/components
TEMPLATE_HEADER_MAX = 60
TEMPLATE_VALUE_MAX = 1_024  # the longest that a body may be altogether
TEMPLATE_CODE_MAX = 15
TEMPLATE_COUPON_MAX = 20
TEMPLATE_PAYLOAD_MAX = 256
TEMPLATE_SPACES_MAX = 4
TEMPLATES_PER_PAGE = 100
TEMPLATE_PAGES_MAX = 100  # an account has 6,000 at the most; a cursor that never ends is nobody's to follow
TEMPLATES_LIST_S_MAX = 120.0  # for all pages of it
TEMPLATES_FRESH_S = 3_600.0  # webhooks tell of changes; one that was lost is made good by then
TEMPLATES_LOOK_S = 0.5  # how often a notice looks whether they have come
TEMPLATES_WAIT_S_MAX = 3.0  # how long a notice waits for the templates that it names
TEMPLATES_NAMED = 3  # in a notice
TEMPLATE_SKETCH_MAX = 160  # characters of each
# Where the number's bucket is shared with what Meta delivers to us, a little room is left.
NUMBER_BURST_S = 1.0

# Calls to one host. Meta is one for all numbers, and a second of its time for each of 500 calls a second is 500
# connections. Delivery says how many calls are under way; who waits for a connection is told that there is none.
CONNECTIONS_A_HOST_MAX = 2_000

# Answers of platforms. A history has hundreds of messages; nearly all others are short.
ANSWER_BYTES_MAX = 2 * 1024 * 1024
ANSWER_BYTES_LONG_MAX = 16 * 1024 * 1024
ANSWER_BYTES_AT_ONCE = 256 * 1024  # what is longer is read in a thread
RETRY_AFTER_S_MAX = 3600.0  # the longest wait that a platform's word is taken for
ENDPOINT_CHARACTERS_MAX = 255
TOKEN_CHARACTERS_MAX = 4_096
TOKEN_S_MAX = 30 * 24 * 3600

# Bitrix24. https://apidocs.bitrix24.com/limits.html
PORTAL_RATE_PER_S = 2.0
PORTAL_BURST = 50
PORTAL_RATE_PER_S_ENTERPRISE = 5.0
PORTAL_BURST_ENTERPRISE = 250
PORTAL_RATE_PER_S_MAX = 10_000  # of a self-hosted portal, whose limits are its administrator's
OPERATING_S_MAX = 480.0  # per method in ten minutes, then OPERATION_TIME_LIMIT
OPERATING_S_WATCHED = 120.0  # from here on each call is reserved for; below it a portal pays nothing
# What an operator writes at once; a portal takes no more, but may post it.
# https://apidocs.bitrix24.com/api-reference/chats/messages/im-message-add.html
OPERATOR_TEXT_MAX = 20_000
BITRIX_TEXTS_PER_CALL = 10
BITRIX_CONFIRMS_PER_CALL = 50
BITRIX_TEXT_MAX = 20_000  # of BBCode; a portal cuts what is longer
BITRIX_NAME_MAX = 25
BITRIX_FILE_NAME_MAX = 50

# Files. https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
MEDIA_BYTES_MAX = 100 * 1024 * 1024
MEDIA_CAPTION_MAX = 1_024
MEDIA_CAPTION_KEPT = 800  # of plain text; a longer one goes as a message of its own, as one with many marks does
MEDIA_ID_DAYS = 30  # how long Meta keeps what was uploaded
MEDIA_ID_DAYS_USED = 28
MEDIA_PART_BYTES = 256 * 1024  # of a file in memory at a time, and of one answer's part
MEDIA_BLOCK_BYTES = 5 * 1024 * 1024  # the least that S3 takes as one part of many
MEDIA_HEAD_BYTES = 8 * 1024  # what a type is told by
MEDIA_REDIRECTS_MAX = 3
MEDIA_STILL_S = 20.0  # a host that sends nothing for so long has gone
MEDIA_STORE_SEEN_S = 10.0  # how often a process tells which store it uses
MEDIA_STORE_IDLE_S = 30.0  # a store in which nobody was seen for so long may be replaced by another
MEDIA_STORE_LOOK_S = 1.0
MEDIA_STORE_PROVE_S = 10.0  # how long a store may take for one small object, before the work begins
FILE_HELD_S_MAX = 60.0  # how long a program's message holds its conversation for a file that cannot be had
FILE_LEASE_S = 20.0  # a file whose runner has not renewed it for so long is taken by another
FILE_AGAIN_S = 5.0  # a message of a program whose file is not there yet is looked at again so often
FILES_AT_ONCE = 16  # a process
FILES_AT_ONCE_A_PORTAL = 6
FILES_A_CLAIM = 4
FILES_LOOK_S = 0.5
FILES_LOOK_S_MIN = 0.05
FILE_NAME_BYTES_MAX = 150
VOICE_S_MAX = 3 * 3600.0  # of sound; a longer recording stays what it is
VOICE_MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, for the process that turns it
VOICE_WORK_S = 120.0
VOICES_AT_ONCE = 2  # a process

# Lanes.
ROUNDS = 4  # lanes that bells of a queue name (store.ledger.claims.ROUND_OF says it in SQL)
ROUTE_BATCH = 500
ROUTE_BYTES_ON_LOOP = 64 * 1024  # of events; more of them are read in a thread, so that other lanes go on
CUT_CHARACTERS_ON_LOOP = 8_000  # of operators' messages; longer ones are measured and cut in a thread
ROUTE_GATHER_S = 0.03  # from one batch to the next, while at least
ROUTE_TOGETHER = 3  # events come together in that time
ROUTE_ELSEWHERE_S = 0.2  # until a round that another process is routing is looked at
ROUTE_DOUBT_S = 1.0  # until PostgreSQL is asked what became of a batch whose end it did not tell
CONFIRM_BATCH = 200
CONFIRM_HELD_S = 60.0  # how often a confirmation is looked at whose side is paused; a repair has it told at once
CONFIRM_PARTS_S = 1.0  # the same while another part of its message is on its way
TICK_ROW_S = 30.0  # when a confirmation that is told from memory is due in the ledger, should the process die
TICK_FOLLOWED_S = 1.0  # how long a read mark waits for the next message of its conversation, which speaks for both
LOOK_AGAIN_S = 0.1  # at what was committed a moment ago and could not be claimed
STORE_AGAIN_S = 1.0  # after PostgreSQL was away
SETTLE_AGAIN_S = 0.5  # a verdict that could not be written, as long as its claim lasts
BROKEN_CALL_S = 5.0  # how long a portal or channel is left alone whose call broke us
OWNERS_PER_CLAIM = 100  # portals or channels that one statement claims for
PACE_GATHER_S = 0.5  # how long what a portal has no room for waits for more, before it waits for its turn
PACE_WAIT_S_MAX = 2.0  # a longer wait becomes a due time in the ledger, never a sleeping runner

# Clocks. Hosts agree on the time by the database's.
CLOCK_LOOK_S = 30.0
CLOCK_LOOK_S_FIRST = 1.0  # until it has told the time once: whoever started meanwhile has only the host's own
CLOCK_OFF_S = 5.0  # from here on somebody should look at the host's own
CLOCK_TRIP_S_MAX = 1.0  # half of it is how wrong a comparison may be

# Leases: how long one outlives a holder that is gone, how often it is renewed, and how often who waits for it looks.
LEASE_S = 8.0
LEASE_RENEW_S = 2.0
LEASE_LOOK_S = 0.2
# Workers: as above, of what one holds in all. Longer, for a busy machine's sake: who is late loses all of its claims.
WORKER_LEASE_S = 10.0
WORKER_RENEW_SHARE = 0.2  # of its lease
WORKER_AGAIN_SHARE = 0.05  # after it could not
WORKER_LATE_S = 10.0  # how long after the end of its lease a worker is told to be gone
WORKER_KEPT_S = 600.0  # how long the row of one that has ended is known
# Sessions: a transaction that is begun and not gone on with, and a host that has gone without a goodbye.
TRANSACTION_IDLE_S_MAX = 5
TRANSACTION_S_MAX = 45  # as a whole; each of its statements is given up after 30
PEER_SILENT_S_MAX = 15
TABLE_LOCK_WAIT_MS = 500  # of a change of a table that is in use; whoever comes after it waits so long, too

# A worker that is told to stop: calls under way, then everything, then the process itself, whatever it waits for.
STOP_CALL_S = 4.0
STOP_S = 7.0
STOP_S_MAX = 9.5

# Sweeping.
SWEEP_LANES = 10_000
SWEEP_CONFIRMATIONS = 5_000
# A number that was busy in the same hours a week ago, and hears nothing in these, is silent.
SILENT_HOURS = 2  # whole ones, beside the one that has begun
BUSY_MESSAGES_MIN = 20  # in those hours
HOURS_KEPT_DAYS = 8
HOURS_COUNTED_AT_ONCE = 50_000
DISK_FREE_MIN = 0.1  # of the disk that holds DATA_DIR, before an admin is told
ERASE_STEP = 500  # events, or files, of a deleted tenant that are erased in one step
FORGET_STEP = 2_000  # messages that are forgotten in one transaction
PARTITION_DAYS_AHEAD = 3
PARKED_HOURS = 24 * 8  # Meta repeats a webhook for seven days

# Recovery of replies that Bitrix24 told nobody of. A batch counts as one request and takes 50 commands.
# https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
RECOVERY_CHATS_PER_CALL = 50
RECOVERY_HISTORIES_PER_CALL = 10  # a history has hundreds of messages, and an answer 16 MB
RECOVERY_CALL_EVERY_S = 1.0  # half of a portal's requests at most; the other half is delivery's
RECOVERY_PORTALS_AT_ONCE = 16
RECOVERY_LOOK_S = 2.0  # how often others are looked for meanwhile
RECOVERY_SLICE_S = 20.0  # how long one portal is looked at before the others are asked again
RECOVERY_ROUND_CHATS = 500  # of one portal's round without an outage
RECOVERY_PORTALS_PER_ROUND = 50
RECOVERY_AGAIN_S = 10.0  # after a portal did not answer
RECOVERY_REFUSED_HOURS = 24  # after a portal did not let us look
OFFLINE_ROWS = 50  # of a portal's offline queue, a request
OFFLINE_PORTALS_PER_ROUND = 50
LATE_S = 15.0  # an event of a younger message may still be on its way: that one is not late
HOLD_S_MAX = 30.0  # how long an event waits for the history of its conversation
BEAT_S = 2.0  # how often each gateway gives a sign of life
SILENT_S = 6.0  # no sign of life of any of them for so long: the gateway was away
STATUS_READ_S = 2.0  # how long who asks for a status waits until what came before has been routed
QUIET_S = 4.0  # so long without a sign of life: perhaps it is away, and Meta's word does not come through

# API.
PAGE_DEFAULT = 50
PAGE_MAX = 200
BULK_MAX = 1_000
IDEMPOTENCY_KEY_MAX = 255
IDEMPOTENCY_HOURS = 24
