/* explain_values.c: which keys the plan was made from, and which change nothing. */
#include <string.h>

#include "explain/explain.h"

typedef struct key_table {
    zoo_doc *doc;
    uint32_t n;
} key_table;

static void write_key(void *arg, const char *key, const char *value, const char *note)
{
    key_table *t = arg;
    if (t->n++ == 0) {
        zoo_doc_para(t->doc, "Keys of the file that change nothing here:");
        zoo_doc_table(t->doc, 3);
        zoo_doc_cell(t->doc, "key");
        zoo_doc_cell(t->doc, "value");
        zoo_doc_cell(t->doc, "why");
    }
    zoo_doc_cell(t->doc, "%s", key);
    zoo_doc_cell(t->doc, "%s", value);
    zoo_doc_cell(t->doc, "%s", note ? note : "the reference does not read it");
}

static void write_origin(void *arg, const char *key, const char *value, const char *origin)
{
    key_table *t = arg;
    if (t->n++ == 0) {
        zoo_doc_table(t->doc, 3);
        zoo_doc_cell(t->doc, "key");
        zoo_doc_cell(t->doc, "value");
        zoo_doc_cell(t->doc, "from");
    }
    zoo_doc_cell(t->doc, "%s", key);
    zoo_doc_cell(t->doc, "%.80s", value);
    zoo_doc_cell(t->doc, "%s", origin ? origin : "");
}

static void ignore_key(void *arg, const char *key, const char *value, const char *note)
{
    (void)arg;
    (void)key;
    (void)value;
    (void)note;
}

void zoo_explain_values(zoo_doc *doc, const zoo_arch *arch)
{
    const zoo_model *m = &arch->model;
    const char *class_name = zoo_model_config_class(m->config);
    key_table origins = {.doc = doc}, left = {.doc = doc};
    static const char *const none[] = {NULL};
    zoo_error error;
    if (class_name) {
        zoo_doc_para(doc, "As in %s of the reference.", class_name);
    }
    zoo_model_config_each(m->config, write_origin, &origins);
    if (origins.n) {
        zoo_doc_table_end(doc);
    }
    zoo_model_config_unread(m->config, write_key, &left);
    if (left.n) {
        zoo_doc_table_end(doc);
    }
    if (zoo_model_config_check(m->config, m->plugin, none, class_name ? NULL : ignore_key, NULL,
                               &error) != ZOO_OK) {
        zoo_doc_para(doc, "A run refuses this config: %s", error.text);
    }
}
