/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hil/modems/worker_phone.h"

#include "hil/modems/worker_phone_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WATCH_MS        500   /* how often the watching thread looks at the device */
#define STUCK_MS        10000 /* an abort that had no effect for that long */
#define INIT_LIMIT_MS   90000 /* libgammu's own waits are 20 s and more a command */
#define INFO_MAX        512   /* above GSM_MAX_INFO_LENGTH */
#define REPLIES         1     /* attempts a command; with more, a refused SMS would be offered again */

uint64_t phone_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void phone_log(struct phone *p, const char *level, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->log(p->ctx, level, text);
}

/* ---- the watching thread ---- */

static bool device_there(const struct phone *p)
{
	struct stat st;

	if (stat(p->cfg->device, &st))
		return false;
	return !p->device_known || (S_ISCHR(st.st_mode) && st.st_rdev == p->rdev);
}

/* libgammu reports neither an unplugged device nor a modem that talks for ever:
 * its waits go on. GSM_AbortOperation ends them from outside, but for the loops that
 * do not look at it (ATGEN_Initialise reads for as long as lines come): then only the
 * end of the process does, and whoever runs it starts another. */
static void *watch(void *arg)
{
	struct phone *p = arg;
	struct timespec until;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WATCH_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
		pthread_cond_timedwait(&p->wake, &p->lock, &until);
		if (!p->s || !p->call_until || p->stop)
			continue;
		if (p->aborted && phone_now_ms() >= p->aborted_at + STUCK_MS)
			_exit(PHONE_EXIT_STUCK);
		if (!p->aborted && (phone_now_ms() >= p->call_until || !device_there(p))) {
			p->aborted = true;
			p->aborted_at = phone_now_ms();
			GSM_AbortOperation(p->s);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

void phone_enter(struct phone *p, unsigned limit_ms)
{
	pthread_mutex_lock(&p->lock);
	p->call_until = phone_now_ms() + limit_ms;
	p->aborted = false;
	pthread_mutex_unlock(&p->lock);
}

bool phone_leave(struct phone *p)
{
	bool aborted;

	pthread_mutex_lock(&p->lock);
	p->call_until = 0;
	aborted = p->aborted;
	pthread_mutex_unlock(&p->lock);
	return aborted;
}

/* ---- life ---- */

struct phone *phone_new(const struct phone_config *cfg, phone_sms_fn *sms, phone_log_fn *log, void *ctx)
{
	struct phone *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->cfg = cfg;
	p->sms = sms;
	p->log = log;
	p->ctx = ctx;
	p->fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	GSM_InitLocales(NULL);
	if (pthread_create(&p->watcher, NULL, watch, p)) {
		free(p);
		return NULL;
	}
	if (cfg->debug_file)
		p->debug = fopen(cfg->debug_file, "ae");
	return p;
}

void phone_free(struct phone *p)
{
	if (!p)
		return;
	phone_close(p);
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->watcher, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	if (p->debug)
		fclose(p->debug);
	free(p->scratch);
	free(p);
}

void phone_close(struct phone *p)
{
	GSM_StateMachine *s = p->s;

	if (!s)
		return;
	/* it says goodbye to the modem, which may not answer any more */
	phone_enter(p, 2000);
	GSM_TerminateConnection(s);
	pthread_mutex_lock(&p->lock);
	p->s = NULL;
	pthread_mutex_unlock(&p->lock);
	phone_leave(p);
	GSM_FreeStateMachine(s);
	p->fd = -1;
	p->device_known = false;
	p->sending = false;
	p->news_count = 0;
	p->news_lost = false;
}

bool phone_is_open(const struct phone *p)
{
	return p->s != NULL;
}

bool phone_present(const struct phone *p)
{
	return device_there(p);
}

int phone_fd(const struct phone *p)
{
	return p->fd;
}

const struct phone_info *phone_info(const struct phone *p)
{
	return &p->info;
}

/* libgammu does not tell its descriptor: look for the one that is the device. */
static void find_device(struct phone *p)
{
	struct stat st;
	struct dirent *de;
	DIR *dir;

	p->fd = -1;
	if (stat(p->cfg->device, &st) || !S_ISCHR(st.st_mode))
		return;
	p->rdev = st.st_rdev;
	p->device_known = true;
	dir = opendir("/proc/self/fd");
	if (!dir)
		return;
	while ((de = readdir(dir))) {
		struct stat one;
		int fd = atoi(de->d_name);

		if (fd > 2 && fstat(fd, &one) == 0 && S_ISCHR(one.st_mode) && one.st_rdev == st.st_rdev)
			p->fd = fd;
	}
	closedir(dir);
}

static bool configure(struct phone *p, GSM_StateMachine *s)
{
	GSM_Config *c = GSM_GetConfig(s, 0);

	/* FreeStateMachine frees these */
	free(c->Device);
	free(c->Connection);
	free(c->DebugFile);
	c->Device = strdup(p->cfg->device);
	c->Connection = strdup(p->cfg->connection);
	c->DebugFile = strdup("");
	if (!c->Device || !c->Connection || !c->DebugFile)
		return false;
	c->Model[0] = '\0';
	/* the log function learns from it whether an ERROR was plain, CMS or CME */
	snprintf(c->DebugLevel, sizeof(c->DebugLevel), "textall");
	c->SyncTime = FALSE;
	c->LockDevice = FALSE;
	c->StartInfo = FALSE;
	c->UseGlobalDebugFile = FALSE;
	c->PhoneFeatures[0] = 0;
	/* zeroes would be taken for real CNMI parameters */
	for (int i = 0; i < 5; i++)
		c->CNMIParams[i] = -1;
	GSM_SetConfigNum(s, 1);
	return true;
}

static enum phone_result judge_open(GSM_Error error, char *why, size_t size)
{
	snprintf(why, size, "%s", GSM_ErrorString(error));
	switch (error) {
	case ERR_DEVICEOPENERROR:
	case ERR_DEVICELOCKED:
	case ERR_DEVICENOTEXIST:
	case ERR_DEVICEBUSY:
	case ERR_DEVICENOPERMISSION:
	case ERR_DEVICENODRIVER:
	case ERR_DEVICENOTWORK:
		return PHONE_ABSENT;
	default:
		return PHONE_FAILED;
	}
}

static enum phone_result unlock(struct phone *p, char *why, size_t size)
{
	GSM_SecurityCodeType type = SEC_None;
	GSM_SecurityCode code;
	GSM_Error error;

	phone_enter(p, PHONE_CALL_LIMIT_MS);
	error = GSM_GetSecurityStatus(p->s, &type);
	phone_leave(p);
	if (error == ERR_NOTSUPPORTED || error == ERR_NOTIMPLEMENTED)
		return PHONE_OK;
	if (error != ERR_NONE) {
		snprintf(why, size, "SIM: %s", GSM_ErrorString(error));
		return PHONE_FAILED;
	}
	if (type == SEC_None || type == SEC_Pin2 || type == SEC_Puk2)
		return PHONE_OK;
	if (type != SEC_Pin) {
		snprintf(why, size, "the SIM asks for %s",
			 type == SEC_Puk ? "its PUK" : "another code than its PIN");
		return PHONE_LOCKED;
	}
	if (!p->cfg->pin) {
		snprintf(why, size, "the SIM asks for a PIN and the rig file names none");
		return PHONE_PIN;
	}
	memset(&code, 0, sizeof(code));
	code.Type = SEC_Pin;
	snprintf(code.Code, sizeof(code.Code), "%s", p->cfg->pin);
	phone_enter(p, PHONE_CALL_LIMIT_MS);
	error = GSM_EnterSecurityCode(p->s, &code);
	phone_leave(p);
	explicit_bzero(&code, sizeof(code));
	if (error != ERR_NONE) {
		/* three wrong ones lock the SIM: never twice */
		snprintf(why, size, "the SIM refused the PIN: %s", GSM_ErrorString(error));
		return PHONE_LOCKED;
	}
	return PHONE_OK;
}

static void trim(char *s)
{
	size_t len = strlen(s);

	while (len && (unsigned char)s[len - 1] <= ' ')
		s[--len] = '\0';
}

/* Before the PIN, which is another SIM's and would cost this one a try. A modem that
 * does not tell its IMEI before it is unlocked is believed. */
static enum phone_result recognize(struct phone *p, char *why, size_t size)
{
	char imei[INFO_MAX] = "";
	GSM_Error error;

	if (!p->cfg->imei)
		return PHONE_OK;
	phone_enter(p, PHONE_CALL_LIMIT_MS);
	error = GSM_GetIMEI(p->s, imei);
	phone_leave(p);
	trim(imei);
	if (error != ERR_NONE || !imei[0] || strcmp(imei, p->cfg->imei) == 0)
		return PHONE_OK;
	snprintf(why, size, "another modem stands there: its IMEI is %.40s", imei);
	return PHONE_OTHER;
}

static void identify(struct phone *p)
{
	struct phone_info *i = &p->info;
	/* libgammu writes up to its own limits, whatever the caller's buffer holds */
	char value[INFO_MAX] = "", date[INFO_MAX] = "";
	double number = 0;
	GSM_SMSC smsc;

	phone_enter(p, PHONE_CALL_LIMIT_MS);
	memset(i, 0, sizeof(*i));
#define ASK(call, field)                                                                                       \
	do {                                                                                                   \
		memset(value, 0, sizeof(value));                                                               \
		if ((call) == ERR_NONE)                                                                        \
			snprintf(i->field, sizeof(i->field), "%.*s", (int)sizeof(i->field) - 1, value);        \
		trim(i->field);                                                                                \
	} while (0)
	ASK(GSM_GetIMEI(p->s, value), imei);
	ASK(GSM_GetManufacturer(p->s, value), manufacturer);
	ASK(GSM_GetModel(p->s, value), model);
	ASK(GSM_GetFirmware(p->s, value, date, &number), firmware);
#undef ASK
	memset(&smsc, 0, sizeof(smsc));
	smsc.Location = 1;
	if (GSM_GetSMSC(p->s, &smsc) == ERR_NONE)
		phone_utf8(smsc.Number, i->smsc, sizeof(i->smsc));
	phone_leave(p);
}

static void gammu_log(const char *text, void *ctx)
{
	struct phone *p = ctx;

	phone_seen_error(p, text);
	if (p->debug) {
		fputs(text, p->debug);
		if (strchr(text, '\n'))
			fflush(p->debug);
	}
}

enum phone_result phone_open(struct phone *p, char *why, size_t size)
{
	enum phone_result rv;
	GSM_StateMachine *s;
	GSM_Error error;

	why[0] = '\0';
	if (access(p->cfg->device, F_OK)) {
		snprintf(why, size, "no device at %s", p->cfg->device);
		return PHONE_ABSENT;
	}
	s = GSM_AllocStateMachine();
	if (!s || !configure(p, s)) {
		snprintf(why, size, "out of memory");
		GSM_FreeStateMachine(s);
		return PHONE_FAILED;
	}
	pthread_mutex_lock(&p->lock);
	p->s = s;
	pthread_mutex_unlock(&p->lock);
	phone_enter(p, INIT_LIMIT_MS);
	error = GSM_InitConnection_Log(s, REPLIES, gammu_log, p);
	if (phone_leave(p) && error == ERR_NONE)
		error = ERR_ABORTED;
	if (error != ERR_NONE) {
		rv = judge_open(error, why, size);
		goto out;
	}
	find_device(p);
	rv = recognize(p, why, size);
	if (rv == PHONE_OK)
		rv = unlock(p, why, size);
	if (rv != PHONE_OK)
		goto out;
	identify(p);
	p->seen_count = 0;
	GSM_SetSendSMSStatusCallback(s, phone_on_status, p);
	GSM_SetIncomingSMSCallback(s, phone_on_sms, p);
	phone_enter(p, PHONE_CALL_LIMIT_MS);
	p->info.notify = GSM_SetIncomingSMS(s, TRUE) == ERR_NONE;
	phone_leave(p);
out:
	if (rv != PHONE_OK)
		phone_close(p);
	return rv;
}

/* Does the SIM ask for a code? A modem that restarts by itself forgets its PIN. */
static bool is_locked(struct phone *p)
{
	GSM_SecurityCodeType type = SEC_None;
	GSM_Error error;

	phone_enter(p, PHONE_CALL_LIMIT_MS);
	error = GSM_GetSecurityStatus(p->s, &type);
	return !phone_leave(p) && error == ERR_NONE && type != SEC_None && type != SEC_Pin2 && type != SEC_Puk2;
}

/* No network: opening it again is what enters the PIN. */
static enum phone_result not_attached(struct phone *p, char *why, size_t size)
{
	if (!is_locked(p))
		return PHONE_ATTACHING;
	snprintf(why, size, "the SIM asks for a code again");
	return PHONE_FAILED;
}

enum phone_result phone_network(struct phone *p, char *why, size_t size)
{
	GSM_NetworkInfo net;
	GSM_Error error;

	memset(&net, 0, sizeof(net));
	phone_enter(p, PHONE_CALL_LIMIT_MS);
	error = GSM_GetNetworkInfo(p->s, &net);
	if (phone_leave(p))
		error = ERR_ABORTED;
	if (error == ERR_TIMEOUT || error == ERR_ABORTED || error == ERR_DEVICEWRITEERROR ||
	    error == ERR_DEVICEREADERROR) {
		snprintf(why, size, "network: %s", GSM_ErrorString(error));
		return PHONE_FAILED;
	}
	if (error != ERR_NONE) {
		snprintf(why, size, "network: %s", GSM_ErrorString(error));
		return not_attached(p, why, size);
	}
	if (net.State != GSM_HomeNetwork && net.State != GSM_RoamingNetwork) {
		snprintf(why, size, "%s",
			 net.State == GSM_RegistrationDenied  ? "registration denied"
			 : net.State == GSM_RequestingNetwork ? "searching"
			 : net.State == GSM_NoNetwork         ? "no network"
							      : "network unknown");
		return not_attached(p, why, size);
	}
	p->info.network[0] = '\0';
	/* "214 07" */
	for (size_t i = 0, n = 0; net.NetworkCode[i] && n < sizeof(p->info.network) - 1; i++)
		if (net.NetworkCode[i] >= '0' && net.NetworkCode[i] <= '9') {
			p->info.network[n++] = net.NetworkCode[i];
			p->info.network[n] = '\0';
		}
	phone_utf8(net.NetworkName, p->info.operator_name, sizeof(p->info.operator_name));
	if (!p->info.operator_name[0] && net.NetworkCode[0])
		phone_utf8(GSM_GetNetworkName(net.NetworkCode), p->info.operator_name,
			   sizeof(p->info.operator_name));
	return PHONE_OK;
}
