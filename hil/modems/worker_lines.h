/* The lines that a pool and its `quicrig-modem` exchange: one JSON object a line
 * (contracts.md, quicrig-modem). `do` or `ev` names what it is.
 *
 * In, on stdin:
 *   {"do":"send","id":"…","to":"+34…","text":"…"}     one at a time
 *   {"do":"delete","loc":3}                            the only way that an SMS leaves the SIM
 *   {"do":"ping"}                                      answered by `pong` once libgammu is not blocked
 *   {"do":"quit"}                                      end of file means the same
 *
 * Out, on stdout:
 *   {"ev":"state","state":"READY","why":"…","imei":"…","manufacturer":"…","model":"…","firmware":"…",
 *    "network":"…","operator":"…","smsc":"…","notify":true}
 *        ABSENT  the device is not there or does not open; waits for it. With "fatal":true another
 *                modem than --imei stands there; nothing more will be tried
 *        INIT    libgammu speaks to it, or backs off before it tries again
 *        PIN     the SIM asks for one; with "fatal":true nothing more will be tried, so that the SIM
 *                is not locked
 *        ATTACHING  waits for the network
 *        READY   takes `send`; identity and network stand in this one
 *   {"ev":"sent","id":"…","ref":17}
 *   {"ev":"failed","id":"…","cms":38,"phase":"prompt","why":"…"}   surely not sent. `cms` is the raw
 *        +CMS ERROR, left out where the modem gave none ("cme" stands where it gave that). phase:
 *        state (not READY, busy), text (cannot be coded), prompt (before the PDU), pdu (behind it)
 *   {"ev":"unknown","id":"…","why":"…"}                it may have been sent
 *   {"ev":"received","loc":3,"from":"…","text":"…","smsc_time":"2026-01-31T12:00:00+01"}
 *        loc -1: never stood on the SIM
 *   {"ev":"report","loc":4,"ref":17,"status":0}        a stored status report
 *   {"ev":"deleted","loc":3} / {"ev":"deleted","loc":3,"why":"…"} where it failed
 *   {"ev":"pong"}
 *   {"ev":"log","level":"info|warning|error","text":"…"}
 *
 * Exit: 0 told to quit, 2 bad arguments, 3 libgammu hangs and cannot be aborted. */
#ifndef HIL_MODEMS_WORKER_LINES_H
#define HIL_MODEMS_WORKER_LINES_H

#define WORKER_LINE_MAX 8192 /* bytes of a line, either way */

#endif
