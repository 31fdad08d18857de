/* What containers are called, for people: an id alone says little at night. */
#include "api_impl.h"

#include <stdio.h>
#include <string.h>

struct dk_short dk_short(const char *id)
{
    struct dk_short s;
    bool hex = strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
    (void)snprintf(s.text, sizeof(s.text), "%.*s", hex ? 12 : (int)sizeof(s.text) - 1, id);
    return s;
}

void dk_learn_name_of(struct dk_api *api, const char *id, const char *name)
{
    if (!id || !name[0])
        return;
    (void)pthread_mutex_lock(&api->naming);
    if (!api->names)
        api->names = json_object();
    /* without memory for it the id has to do */
    (void)json_object_set_new(api->names, id, json_string(name));
    (void)pthread_mutex_unlock(&api->naming);
}

void dk_learn_name(struct dk_api *api, const json_t *inspected)
{
    const char *name = json_string_value(json_object_get(inspected, "Name"));
    if (name && name[0] == '/')
        dk_learn_name_of(api, json_string_value(json_object_get(inspected, "Id")), name + 1);
}

struct dk_short dk_called(struct dk_api *api, const char *id)
{
    struct dk_short s = dk_short(id);
    (void)pthread_mutex_lock(&api->naming);
    const char *name = json_string_value(json_object_get(api->names, id));
    if (name)
        (void)snprintf(s.text, sizeof(s.text), "%s", name);
    (void)pthread_mutex_unlock(&api->naming);
    return s;
}
