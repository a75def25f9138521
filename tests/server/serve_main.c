/* quicrig serve as a program of its own, for the suite that runs it as a process. */
#include "server/serve.h"

int main(int argc, char **argv)
{
	return serve_main(argc, argv, NULL);
}
