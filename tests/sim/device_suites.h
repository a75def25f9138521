/* The parts of the device's suite that stand in files of their own. */
#ifndef TESTS_SIM_DEVICE_SUITES_H
#define TESTS_SIM_DEVICE_SUITES_H

#include <check.h>

TCase *device_trust_case(void); /* signatures, commands, the seed's answers */
TCase *device_power_case(void); /* power cuts, the durable file */

#endif
