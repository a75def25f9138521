/* Short message transfer protocol data units, 3GPP TS 23.040 §9: SMS-SUBMIT in,
 * SMS-DELIVER and SMS-STATUS-REPORT out. User data stays as it came, octet for
 * octet; text is only read from it or put into it on request. */
#ifndef HIL_MODEMS_PDU_H
#define HIL_MODEMS_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PDU_UD_MAX	140
#define PDU_SEPTETS_MAX 160
#define PDU_UCS2_MAX	70
#define PDU_TPDU_MAX	164 /* SMS-SUBMIT with the longest address and VP */
#define PDU_OCTETS_MAX	(12 + PDU_TPDU_MAX)
#define PDU_HEX_MAX	(2 * PDU_OCTETS_MAX + 1)
#define PDU_TEXT_MAX	481 /* 160 characters of three octets, and a NUL */
#define PDU_ADDRESS_MAX 34  /* 11 alphanumeric characters of three octets, and a NUL */

#define PDU_TOA_INTERNATIONAL 0x91 /* 23.040 §9.1.2.5 */
#define PDU_TOA_UNKNOWN	      0x81
#define PDU_TOA_ALPHANUMERIC  0xd0

#define PDU_STATUS_RECEIVED 0x00 /* TP-ST, §9.2.3.15 */
#define PDU_STATUS_EXPIRED  0x46

struct pdu_address {
	uint8_t type;		    /* TON and NPI octet */
	char text[PDU_ADDRESS_MAX]; /* "+34600000001", "600000001", "quicrig"; "" where absent */
};

enum pdu_alphabet { PDU_GSM7, PDU_8BIT, PDU_UCS2 };

struct pdu_user_data {
	uint8_t dcs; /* TP-DCS, 23.038 §4 */
	bool header; /* TP-UDHI */
	uint8_t udl; /* TP-UDL: septets where the alphabet is PDU_GSM7, octets otherwise */
	uint8_t octets[PDU_UD_MAX];
	uint8_t len; /* octets used */
};

enum pdu_vp { PDU_VP_NONE, PDU_VP_ENHANCED, PDU_VP_RELATIVE, PDU_VP_ABSOLUTE }; /* TP-VPF */

struct pdu_submit {
	struct pdu_address smsc; /* text "" : the one that the SIM knows */
	uint8_t reference;	 /* TP-MR as the phone wrote it */
	bool reply_path, reject_duplicates, report;
	struct pdu_address to;
	uint8_t pid;
	enum pdu_vp vp;
	uint32_t valid_s;     /* 0: not limited, or absolute */
	int64_t valid_unix_s; /* absolute form only */
	struct pdu_user_data ud;
};

struct pdu_deliver {
	struct pdu_address smsc;
	struct pdu_address from;
	bool more, reply_path, report;
	uint8_t pid;
	int64_t scts_unix_s; /* written in UTC */
	struct pdu_user_data ud;
};

struct pdu_report {
	struct pdu_address smsc;
	uint8_t reference;
	struct pdu_address to;
	int64_t scts_unix_s, done_unix_s;
	uint8_t status; /* TP-ST */
};

/* A raw unit: SCA and TPDU, as AT commands carry it in hex. */
struct pdu {
	uint8_t octets[PDU_OCTETS_MAX];
	size_t len;
	size_t tpdu; /* octets of the TPDU, which stands last: what AT+CMGS=<length> counts */
};

/* Hex digits to a unit; `tpdu` is the length that was announced. The SCA may be left
 * out altogether. Returns 0, ERR_PARSE (no hex), ERR_LIMIT (lengths do not agree). */
int pdu_from_hex(const char *hex, size_t len, size_t tpdu, struct pdu *out);
/* Upper-case hex into out[PDU_HEX_MAX]. */
void pdu_to_hex(const struct pdu *p, char *out);

/* Each returns 0 or ERR_PARSE (too short, too long, not such a unit). */
int pdu_submit_decode(const struct pdu *p, struct pdu_submit *out);
int pdu_deliver_decode(const struct pdu *p, struct pdu_deliver *out);
int pdu_report_decode(const struct pdu *p, struct pdu_report *out);
/* Fields must be in range; addresses that do not fit are cut. SMS-SUBMIT is written
 * without a validity period. */
void pdu_submit_encode(const struct pdu_submit *in, struct pdu *out);
void pdu_deliver_encode(const struct pdu_deliver *in, struct pdu *out);
void pdu_report_encode(const struct pdu_report *in, struct pdu *out);

enum pdu_alphabet pdu_alphabet(uint8_t dcs);
/* Message class 0…3, or -1 where the DCS names none. */
int pdu_class(uint8_t dcs);
/* The text behind the header, UTF-8, into out[PDU_TEXT_MAX]. Returns `out`. */
char *pdu_text(const struct pdu_user_data *ud, char *out);
/* Puts `text` into one message, GSM-7 where that is possible, else UCS2, without a
 * header. Returns 0, ERR_LIMIT (too long), ERR_PARSE (broken UTF-8). */
int pdu_set_text(const char *text, struct pdu_user_data *ud);
/* "+34…" international, digits unknown, anything else alphanumeric (cut at 11 characters). */
void pdu_set_address(const char *text, struct pdu_address *out);

#endif
