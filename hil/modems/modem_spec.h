/* One modem as the rig file names it (contracts.md, Rig file). */
#ifndef HIL_MODEMS_MODEM_SPEC_H
#define HIL_MODEMS_MODEM_SPEC_H

enum modem_role {
	MODEM_BOTH,
	MODEM_SENDER,
	MODEM_RECEIVER,
};

/* Texts are borrowed from whoever fills it and outlive the pool. */
struct modem_spec {
	const char *name;       /* unique in a rig: letters, digits, '-', '_' */
	const char *imei;       /* NULL: any; else the modem found must say this */
	const char *device;     /* path of its tty */
	const char *connection; /* libgammu's, NULL for "at115200" */
	const char *number;     /* MSISDN of its SIM; NULL where unknown */
	enum modem_role role;
	const char *pin;        /* a secret, from the environment; NULL: the SIM asks for none */
	unsigned per_minute;    /* SMS at most; 0: no limit */
	unsigned per_day;       /* of UTC; 0: no limit */
	unsigned per_month;     /* of UTC; 0: no limit */
};

#endif
