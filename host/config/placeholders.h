/*
 * placeholders.h: tokens that stand for images, videos or sound. In a text without them some
 * wrappers of the reference embed such a token as another one, a pad; their class files say which.
 */
#ifndef ZOO_CONFIG_PLACEHOLDERS_H
#define ZOO_CONFIG_PLACEHOLDERS_H

#include "config/config.h"

enum { ZOO_PLACEHOLDERS_MAX = 8 };
/* The row of a placeholder for which the config names none. */
#define ZOO_ROW_NONE UINT32_MAX

typedef struct zoo_placeholder {
    uint32_t token, row;
} zoo_placeholder;

typedef struct zoo_placeholders {
    zoo_placeholder of[ZOO_PLACEHOLDERS_MAX];
    uint32_t n;
} zoo_placeholders;

/* Reads them from the config and the wrapper's class file; none without one. After
 * zoo_model_config_unwrap. ZOO_E_CONFIG: a token is no whole number. [load] */
zoo_status zoo_placeholders_read(const zoo_model_config *config, zoo_placeholders *out,
                                 zoo_error *err);

/* The token whose row `token` has in a text: itself unless it is a placeholder. [step] */
static inline uint32_t zoo_placeholders_row(const zoo_placeholders *p, uint32_t token)
{
    uint32_t row = token;
    for (uint32_t i = 0; i < p->n; i++) {
        row = p->of[i].token == token ? p->of[i].row : row;
    }
    return row;
}

#endif
