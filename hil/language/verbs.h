/* `quicrig check`, `quicrig list` and `quicrig schema`. argv[0] is the verb's name; exit codes of
 * contracts.md (Verdicts). `list --crash-points` is the main's: it knows the server. */
#ifndef HIL_LANGUAGE_VERBS_H
#define HIL_LANGUAGE_VERBS_H

int check_main(int argc, char **argv);
int list_main(int argc, char **argv);
int schema_main(int argc, char **argv);

#endif
