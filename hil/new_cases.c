/* Texts only: each is a scenario that passes on both built-in rigs as it stands. */
/* clang-format off */
#include "hil/new_cases.h"

const struct new_case new_cases[] = {
	{"bootstrap", "a device that the server knows gets its credentials",
	 "  - name: bootstrap\n"
	 "    devices: {count: 2}\n"
	 "    expect:\n"
	 "      # every change of state, from first to last; '...' is zero or more\n"
	 "      path: [NOT_PROVISIONED, REGISTERING, AWAITING_CODE, LOGGING_IN, PROVISIONED]\n"
	 "      sms: {sent: 2, delivered: 2}\n"
	 "      tokens: {issued: 4}          # a login gives two\n"},
	{"unknown-uuid", "a device that the server does not know goes IDLE",
	 "  - name: unknown-uuid\n"
	 "    devices: {count: 1, known: false}   # no record of it\n"
	 "    expect:\n"
	 "      path: [NOT_PROVISIONED, REGISTERING, IDLE]\n"
	 "      idle: {code: 403, silent_for: 10s}  # refused by this code, and nothing sent for so long\n"
	 "      sms: {sent: 0}\n"},
	{"disabled", "an operator disables a device that works, and enables it again",
	 "  - name: disabled\n"
	 "    settings: {access_ttl: 2s, publish_interval: 1s}\n"
	 "    devices: {count: 1}\n"
	 "    steps:                              # one behind the other\n"
	 "      - {wait: PROVISIONED, within: 10s}\n"
	 "      - {disable: A}\n"
	 "      - {wait: IDLE, within: 10s}       # its next token is refused\n"
	 "      - {enable: A}\n"
	 "      - {power_cycle: A, off: 1s}       # only this wakes it\n"
	 "    expect: {final: PROVISIONED}\n"},
	{"wrong-code", "another code arrives than the one that was sent",
	 "  - name: wrong-code\n"
	 "    devices: {count: 1}\n"
	 "    faults:\n"
	 "      - {on: sms.submitted, do: replace_code, with: \"AAAAAAAAAAAA\"}\n"
	 "    expect:\n"
	 "      path: [..., AWAITING_CODE, LOGGING_IN, IDLE]\n"
	 "      idle: {code: 401}\n"
	 "      tokens: {issued: 0}\n"},
	{"lost-sms", "an SMS is lost; the device asks for another code",
	 "  - name: lost-sms\n"
	 "    settings: {code_wait: 3s}     # else a device waits two minutes for its SMS\n"
	 "    devices: {count: 1}\n"
	 "    faults:\n"
	 "      - {on: sms.submitted, do: lose}   # the first one; 'nth: 2' or 'each: true' say otherwise\n"
	 "    expect:\n"
	 "      final: PROVISIONED\n"
	 "      codes: {issued: 2, used: 1}\n"},
	{"token-expiry", "the access token expires and is refreshed",
	 "  - name: token-expiry\n"
	 "    settings: {access_ttl: 2s, publish_interval: 1s}\n"
	 "    devices: {count: 1}\n"
	 "    steps:\n"
	 "      - {wait: PROVISIONED, within: 10s}\n"
	 "      - {sleep: 3s}\n"
	 "    expect:\n"
	 "      path: [..., PROVISIONED, REFRESHING, PROVISIONED, ...]\n"
	 "      requests: {refreshToken: \">= 1\"}\n"},
	{"power-cut", "power is lost while tokens are written; nobody else notices",
	 "  - name: power-cut\n"
	 "    devices: {A: {count: 3}, B: {count: 2}}   # groups, as many as you like\n"
	 "    faults:\n"
	 "      - {on: tokens.written, who: \"A[3]\", do: power_cut, then: {after: 2s, do: power_on}}\n"
	 "    expect:\n"
	 "      final: PROVISIONED\n"
	 "      others: {same_as: control}   # as in the same run without the fault\n"},
	{"server-restart", "the server dies between a login and its answer",
	 "  - name: server-restart\n"
	 "    devices: {count: 1}\n"
	 "    faults:\n"
	 "      - {on: server.decision, match: {resource: login, code: 200}, do: restart, after: 1s}\n"
	 "    expect:\n"
	 "      final: PROVISIONED\n"
	 "      server: {starts: 2}\n"},
	{"bad-network", "a network that loses, delays and reorders",
	 "  - name: bad-network\n"
	 "    devices: {count: 3}\n"
	 "    network: {loss: 5%, burst: 2, delay: 80ms, jitter: 20ms, reorder: 2%}\n"
	 "    timeout: 120s\n"
	 "    expect: {final: PROVISIONED}\n"},
	{"refusals", "one reply instead of another: a scenario a code",
	 "  - name: refusals\n"
	 "    devices: {count: 1}\n"
	 "    # one scenario for each combination; $name stands for the value\n"
	 "    matrix: {resource: [registerDevice, login], code: [401, 403, 412]}\n"
	 "    faults:\n"
	 "      - {on: server.reply, match: {resource: $resource}, do: reply, code: $code}\n"
	 "    expect:\n"
	 "      idle: {code: $code}\n"},
	{"many-runs", "chance decides; most runs must pass, and that is proven",
	 "  - name: many-runs\n"
	 "    settings: {code_wait: 3s}\n"
	 "    devices: {count: 1}\n"
	 "    faults:\n"
	 "      - {on: sms.submitted, chance: 10%, do: lose}\n"
	 "    # each run has a seed of its own; 'quicrig check' says how many it takes to prove more\n"
	 "    repeat: {runs: 30, pass: \">= 60%\", confidence: 95%}\n"
	 "    expect: {codes: {issued: 1}}\n"},
	{"totp", "devices with TOTP among devices with SMS",
	 "  - name: totp\n"
	 "    devices:\n"
	 "      sms: {count: 3}\n"
	 "      totp: {count: 2, methods: [TOTP], registered: [TOTP]}   # what they offer, and what their record allows\n"
	 "    expect:\n"
	 "      final: PROVISIONED\n"
	 "      sms: [{sent: 3}, {sent: 0, who: totp}]   # two of a kind are a list\n"},
	{"pause", "an operator tells a device to pause; a power cycle ends that",
	 "  - name: pause\n"
	 "    settings: {publish_interval: 1s}\n"
	 "    devices: {count: 1}\n"
	 "    steps:\n"
	 "      - {wait: PROVISIONED, within: 10s}\n"
	 "      - {command: {name: PAUSE, seconds: 60}, who: A}   # it rides on the answer to a publish\n"
	 "      - {wait: PAUSED, within: 10s}\n"
	 "      - {power_cycle: A, off: 1s}\n"
	 "      - {wait: PROVISIONED, within: 10s}\n"
	 "    expect:\n"
	 "      path: [..., PROVISIONED, PAUSED, PROVISIONED]   # OFF is left out of paths\n"
	 "      families: {issued: 1}                # it kept its tokens: no second login\n"},
	{"busy-server", "many devices arrive while the server says 503; how long it takes them",
	 "  - name: busy-server\n"
	 "    devices: {count: 20}\n"
	 "    arrive: {ramp: {from: 0/s, to: 10/s, over: 2s}}   # arrivals a second\n"
	 "    timeout: 60s\n"
	 "    faults:\n"
	 "      # until 5 s from the start; the request itself is done all the same\n"
	 "      - {on: server.reply, match: {resource: registerDevice}, each: true, until: 5s, do: reply, code: 503}\n"
	 "    expect:\n"
	 "      final: PROVISIONED\n"
	 "      never: IDLE\n"
	 "    thresholds:\n"
	 "      - {metric: bootstrap_time, p95: \"< 20s\"}\n"},
	{"modem", "a sender modem refuses an SMS, another one is pulled out",
	 "  - name: modem\n"
	 "    modems: {senders: 3, receivers: 1, send_time: 700ms}   # s1, s2, s3 send, r1 receives\n"
	 "    timeout: 60s\n"
	 "    devices: {count: 2}\n"
	 "    faults:\n"
	 "      - {on: sms.submitted, do: cms_error, code: 38, where: prompt, who: s1}\n"
	 "      - {at: 0s, do: unplug, who: s2, for: 4s}\n"
	 "    expect:\n"
	 "      final: PROVISIONED\n"
	 "      codes: {issued: 2, used: 2}\n"},
	{"key-rotation", "the server gets a new token key while devices are at work",
	 "  - name: key-rotation\n"
	 "    settings: {publish_interval: 1s, access_ttl: 4s}\n"
	 "    devices: {count: 2}\n"
	 "    steps:\n"
	 "      - {wait: PROVISIONED, within: 10s}\n"
	 "      - {operator: rotate_key}\n"
	 "      - {sleep: 6s}                        # they learn the new key, then refresh\n"
	 "    expect:\n"
	 "      final: PROVISIONED\n"
	 "      seen:\n"
	 "        - {event: key.added, count: 1}\n"
	 "        - {event: command.done, match: {name: KEYS}, count: 2}   # events: docs/journal.md\n"
	 "      families: {issued: 2}                # nobody had to log in again\n"},
};
const size_t new_cases_n = sizeof(new_cases) / sizeof(new_cases[0]);
