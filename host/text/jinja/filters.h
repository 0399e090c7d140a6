/*
 * filters.h: filters over many items (lists.c, sort.c) and of numbers
 * (numbers.c), for the table of filters.
 */
#ifndef ZOO_TEXT_JINJA_FILTERS_H
#define ZOO_TEXT_JINJA_FILTERS_H

#include "text/jinja/jinja_private.h"

zoo_jv zoo_filter_abs(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_batch(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_dictsort(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_first(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_float(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_groupby(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_int(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_items(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_join(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_last(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_list(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_map(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_max(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_min(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_reject(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_rejectattr(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_reverse(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_round(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_select(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_selectattr(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_slice(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_sort(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_sum(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);
zoo_jv zoo_filter_unique(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);

/* The attribute path "a.b.0" (a string, or any other key; None: item itself) of item; what is
 * missing at any step is fallback, undefined when that is None. */
zoo_jv zoo_jv_path(zoo_jinja *x, zoo_jv item, zoo_jv path, zoo_jv fallback);

#endif
