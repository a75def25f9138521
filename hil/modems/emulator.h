/* `quicrig modems emulate`: one process that holds emulated modems on pseudo-terminals
 * and the carrier between them.
 *
 * The first line on stdout is {"ready":{"s1":"/dev/pts/5",…}}; on a terminal it is a
 * line a modem. Its control socket takes one JSON object a line and answers each with
 * {"ok":true,…} or {"ok":false,"error":"…"}:
 *   {"do":"fault","fault":{…}}             as in core/fault.h, on sms.submitted or modem.state
 *   {"do":"disarm","name":"f0"}
 *   {"do":"unplug","modem":"s1"}           the path vanishes
 *   {"do":"plug","modem":"s1"}             answers {"ok":true,"path":"/dev/pts/9"}
 *   {"do":"mute","modem":"s1","for_ns":N}  for ever without for_ns; 0 ends it
 *   {"do":"sms","to":"s1","from":"+34…","text":"…"}  a text from outside; `to` may be a number
 *   {"do":"stats"}
 *   {"do":"quit"}
 * Faults act here on two events: sms.submitted (carrier.h says which) and modem.state
 * (modem_core.h), and `unplug {for_ns}` on both. */
#ifndef HIL_MODEMS_EMULATOR_H
#define HIL_MODEMS_EMULATOR_H

/* The verb; argv[0] is its name. Returns an exit code of contracts.md (Verdicts). */
int modems_emulate_main(int argc, char **argv);

#endif
