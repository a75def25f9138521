#include "hil/modems/modem_int.h"

#include <string.h>

#define CNMI_COMMON "(0-2),(0-3),(0,2),(0-2),(0,1)"
#define CPMS_COMMON "(\"SM\"),(\"SM\"),(\"SM\")"

static const char *const huawei_boot[] = {"^BOOT:20592171,0,0,0,72", "^SIMST:1", "^SRVST:2", "^RSSI:20",
					  NULL};
static const char *const huawei_storm[] = {"^RSSI:19", "^BOOT:20592171,0,0,0,72", "^HCSQ:\"WCDMA\",45,43,50",
					   NULL};
static const char *const simcom_boot[] = {"RDY", "+CFUN: 1", "+CPIN: READY", "Call Ready", "SMS Ready", NULL};
static const char *const zte_storm[] = {"+ZDONR: \"Movistar\",214,07,\"CS_PS\",\"ROAM_OFF\"",
					"+ZPASR: \"HSDPA\"", NULL};

/* Each keeps the manner of a make that was seen in the field, and no more. */
static const struct modem_personality personalities[] = {
	{"generic", "quicrig", "Emulated GSM modem", "1.0", "", CNMI_COMMON, CPMS_COMMON, NULL, NULL, 0,
	 false, false},
	{"huawei", "huawei", "E173", "11.126.85.00.209", "^CURC ^PORTSEL ", "(0-2),(0-3),(0,2,3),(0-2),(0,1)",
	 "(\"SM\"),(\"SM\"),(\"SM\")", huawei_boot, huawei_storm, 10 * NS_PER_S, true, false},
	{"simcom", "SIMCOM_Ltd", "SIMCOM_SIM800L", "Revision:1418B04SIM800L24", "",
	 "(0-3),(0-3),(0,2),(0),(0,1)", "(\"SM\"),(\"SM\"),(\"SM\")", simcom_boot, NULL, 0, false, true},
	{"quectel", "Quectel", "EC25", "EC25EFAR06A03M4G", "", "(0-2),(0-3),(0),(0-2),(0,1)",
	 "(\"SM\",\"MT\"),(\"SM\",\"MT\"),(\"SM\",\"MT\")", NULL, NULL, 0, false, false},
	{"zte", "ZTE CORPORATION", "MF190", "BD_MF190V1.0.0B04", "+ZCDRUN +ZOPRT ",
	 "(0,1,2),(0,1,2,3),(0,2,3),(0,1,2),(0,1)", "(\"SM\"),(\"SM\"),(\"SM\")", NULL, zte_storm,
	 15 * NS_PER_S, true, false},
};
#define PERSONALITIES (sizeof(personalities) / sizeof(personalities[0]))

const struct modem_personality *modem_personality_find(const char *name)
{
	for (size_t i = 0; i < PERSONALITIES; i++) {
		if (strcmp(personalities[i].name, name) == 0)
			return &personalities[i];
	}
	return NULL;
}

const char *modem_personality_name(unsigned index)
{
	return index < PERSONALITIES ? personalities[index].name : NULL;
}
