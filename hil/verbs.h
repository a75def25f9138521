/* The verbs that quicrig's main knows. argv[0] is the verb's name; each returns an
 * exit code of contracts.md (Verdicts). */
#ifndef HIL_VERBS_H
#define HIL_VERBS_H

int run_main(int argc, char **argv);
int replay_main(int argc, char **argv);
int check_main(int argc, char **argv);
int list_verb_main(int argc, char **argv);
int schema_main(int argc, char **argv);
int config_main(int argc, char **argv);
int new_main(int argc, char **argv);
int soak_main(int argc, char **argv);
int serve_verb_main(int argc, char **argv);
int device_main(int argc, char **argv);
int admin_main(int argc, char **argv);
int pki_main(int argc, char **argv);
int modems_main(int argc, char **argv);
int shrink_main(int argc, char **argv);
int prove_main(int argc, char **argv);
int doctor_main(int argc, char **argv);

#endif
