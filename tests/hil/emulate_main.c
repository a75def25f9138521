/* The emulator's verb as a program of its own, for tests. */
#include "hil/modems/emulator.h"

int main(int argc, char **argv)
{
	return modems_emulate_main(argc, argv);
}
