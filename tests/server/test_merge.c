/*
 * server/merge_*.c: what becomes of what two branches did. Most scenes are rows of one table: both
 * sides begin with the same content, each does something, and the source is merged into the target.
 */
#include "tests/server/merge_words.h"

#include <stdio.h>
#include <string.h>

#define MAIN "demo"
#define DEV "demo@dev"
#define OTHER "demo@other"

/* ---- one merge ---- */

typedef struct {
    const char *name, *before, *source, *target, *conflicts;
    const char *after; /* what the target then holds; NULL: as it was */
    const char *modes, *choices;
} scene;

static const scene scenes[] = {
    /* One side. */
    {"nothing", "mk:a put:a.t=1", "", "", "", NULL, NULL, NULL},
    {"a change is taken over", "mk:a put:a.t=1", "put:a.t=2", "", "", "a a.t=2", NULL, NULL},
    {"what the target did stays", "mk:a put:a.t=1", "", "put:a.t=2 put:a.u=1", "", "a a.t=2 a.u=1",
     NULL, NULL},
    {"there and back is no change", "mk:a put:a.t=1", "put:a.t=2 put:a.t=1", "put:a.t=3", "",
     "a a.t=3", NULL, NULL},
    {"made", "mk:a", "put:a.t=1", "", "", "a a.t=1", NULL, NULL},
    {"made and gone again", "mk:a", "put:a.t=1 drop:a.t", "", "", "a", NULL, NULL},
    {"dropped", "mk:a put:a.t=1", "drop:a.t", "", "", "a", NULL, NULL},
    {"made with its namespaces", "", "mk:a mk:a.b put:a.b.t=1", "", "", "a a.b a.b.t=1", NULL,
     NULL},
    {"dropped with its namespaces", "mk:a mk:a.b put:a.b.t=1", "drop:a.b.t rm:a.b rm:a", "", "", "",
     NULL, NULL},
    {"renamed", "mk:a put:a.t=1", "mv:a.t>a.u", "", "", "a a.u=1", NULL, NULL},
    {"renamed into a new namespace", "mk:a put:a.t=1", "mk:b mv:a.t>b.t rm:a", "", "", "b b.t=1",
     NULL, NULL},
    {"two change names with each other", "mk:a put:a.t=1 put:a.u=2",
     "mv:a.t>a.x mv:a.u>a.t mv:a.x>a.u", "", "", "a a.t=2 a.u=1", NULL, NULL},
    {"recreated under its name", "mk:a put:a.t=1", "drop:a.t put:a.t=2", "", "", "a a.t=2", NULL,
     NULL},
    /* Both, and they merge. */
    {"the same document", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=2", "", "a a.t=2", NULL, NULL},
    {"both dropped it", "mk:a put:a.t=1", "drop:a.t", "drop:a.t", "", "a", NULL, NULL},
    {"both gave the same name", "mk:a put:a.t=1", "mv:a.t>a.u", "mv:a.t>a.u", "", "a a.u=1", NULL,
     NULL},
    {"renamed here, changed there", "mk:a put:a.t=1", "mv:a.t>a.u", "put:a.t=2", "", "a a.u=2",
     NULL, NULL},
    {"changed here, renamed there", "mk:a put:a.t=1", "put:a.t=2", "mv:a.t>a.u", "", "a a.u=2",
     NULL, NULL},
    {"renamed and changed here, another there", "mk:a put:a.t=1 put:a.v=1", "mv:a.t>a.u put:a.u=2",
     "put:a.v=2", "", "a a.u=2 a.v=2", NULL, NULL},
    {"dropped here, another made there", "mk:a put:a.t=1", "drop:a.t", "put:a.u=1", "", "a a.u=1",
     NULL, NULL},
    {"properties of a namespace, one each", "mk:a set:a.x=1 set:a.y=1", "set:a.x=2", "set:a.y=2",
     "", "a a.x=2 a.y=2", NULL, NULL},
    {"one property taken away", "mk:a set:a.x=1 set:a.y=1", "set:a.x=", "set:a.z=1", "",
     "a a.y=1 a.z=1", NULL, NULL},
    {"both made a namespace", "", "mk:a set:a.x=1 put:a.t=1", "mk:a set:a.y=1 put:a.u=1", "",
     "a a.t=1 a.u=1 a.x=1 a.y=1", NULL, NULL},
    {"fields of a generic asset", "mk:a gen:a.g.x=1", "gen:a.g.x=2", "gen:a.g.y=1", "",
     "a a.g a.g.x=2 a.g.y=1", NULL, NULL},
    {"views, the same", "mk:a view:a.v=1", "view:a.v=2", "view:a.v=2", "", "a a.v=2", NULL, NULL},
    {"of a view a property each", "mk:a vw:a.v.sql=x vw:a.v.p=1 vw:a.v.q=1", "vw:a.v.p=2",
     "vw:a.v.q=", "", "a a.v.p=2 a.v=x#1", NULL, NULL},
    {"its query here, a property there", "mk:a vw:a.v.sql=x", "vw:a.v.sql=y vw:a.v.p=2",
     "vw:a.v.q=3", "", "a a.v.p=2 a.v.q=3 a.v=y#2", NULL, NULL},
    {"its query there, a property here", "mk:a vw:a.v.sql=x", "vw:a.v.p=2",
     "vw:a.v.sql=y vw:a.v.q=3", "", "a a.v.p=2 a.v.q=3 a.v=y#2", NULL, NULL},
    {"the same query on both sides, and more versions", "mk:a vw:a.v.sql=x",
     "vw:a.v.sql=z vw:a.v.sql=y", "vw:a.v.sql=w vw:a.v.sql=y", "", "a a.v=y#4", NULL, NULL},
    {"renamed here, its query there", "mk:a vw:a.v.sql=x", "mv:a.v>a.w vw:a.w.p=1", "vw:a.v.sql=y",
     "", "a a.w.p=1 a.w=y#2", NULL, NULL},
    {"the name was given up there", "mk:a put:a.t=1", "put:a.u=5", "mv:a.t>a.w", "",
     "a a.u=5 a.w=1", NULL, NULL},
    {"taken over a name that the target gave up", "mk:a put:a.t=1", "mv:a.t>a.w put:a.t=5", "", "",
     "a a.t=5 a.w=1", NULL, NULL},
    /* Conflicts. */
    {"changed on both sides", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=3", "data:a.t", NULL, NULL,
     NULL},
    {"views replaced on both sides", "mk:a view:a.v=1", "view:a.v=2", "view:a.v=3", "metadata:a.v",
     NULL, NULL, NULL},
    {"two queries of a view", "mk:a vw:a.v.sql=x", "vw:a.v.sql=y vw:a.v.p=1", "vw:a.v.sql=z",
     "metadata:a.v", NULL, NULL, NULL},
    {"a query and a property of a view", "mk:a vw:a.v.sql=x", "vw:a.v.sql=y vw:a.v.p=1",
     "vw:a.v.sql=z vw:a.v.p=2", "metadata:a.v metadata:a.v", NULL, NULL, NULL},
    {"dropped here, changed there", "mk:a put:a.t=1", "drop:a.t", "put:a.t=2", "deletion:a.t", NULL,
     NULL, NULL},
    {"changed here, dropped there", "mk:a put:a.t=1", "put:a.t=2", "drop:a.t", "deletion:a.t", NULL,
     NULL, NULL},
    {"renamed here, dropped there", "mk:a put:a.t=1", "mv:a.t>a.u", "drop:a.t", "deletion:a.u",
     NULL, NULL, NULL},
    {"dropped here, renamed there", "mk:a put:a.t=1", "drop:a.t", "mv:a.t>a.u", "deletion:a.u",
     NULL, NULL, NULL},
    {"two new names", "mk:a put:a.t=1", "mv:a.t>a.u", "mv:a.t>a.v", "metadata:a.v", NULL, NULL,
     NULL},
    {"one name for two assets", "mk:a", "put:a.t=1", "put:a.t=2", "metadata:a.t", NULL, NULL, NULL},
    {"one name for two of one value", "mk:a", "put:a.t=1", "put:a.t=1", "metadata:a.t", NULL, NULL,
     NULL},
    {"renamed to a name that is taken there", "mk:a put:a.t=1", "mv:a.t>a.u", "put:a.u=2",
     "metadata:a.t", NULL, NULL, NULL},
    {"recreated there under its name", "mk:a put:a.t=1", "put:a.t=2", "drop:a.t put:a.t=3",
     "deletion:a.t", NULL, NULL, NULL},
    {"recreated here under its name, changed there", "mk:a put:a.t=1", "drop:a.t put:a.t=3",
     "put:a.t=2", "deletion:a.t", NULL, NULL, NULL},
    {"a namespace gone here, used there", "mk:a mk:b", "rm:a", "put:a.t=1", "deletion:a", NULL,
     NULL, NULL},
    {"a namespace used here, gone there", "mk:a mk:b", "put:a.t=1", "rm:a", "deletion:a", NULL,
     NULL, NULL},
    {"a namespace gone here, changed there", "mk:a", "rm:a", "set:a.x=1", "deletion:a", NULL, NULL,
     NULL},
    {"a namespace changed here, gone there", "mk:a", "set:a.x=1", "rm:a", "deletion:a", NULL, NULL,
     NULL},
    {"moved into a namespace that is gone there", "mk:a mk:b put:b.t=1", "mv:b.t>a.t", "rm:a",
     "deletion:a", NULL, NULL, NULL},
    {"one property, two values", "mk:a set:a.x=1", "set:a.x=2", "set:a.x=3", "metadata:a", NULL,
     NULL, NULL},
    {"a field of a generic asset", "mk:a gen:a.g.x=1", "gen:a.g.x=2", "gen:a.g.x=", "metadata:a.g",
     NULL, NULL, NULL},
    {"two of three conflict, nothing is done", "mk:a put:a.t=1 put:a.u=1 put:a.v=1",
     "put:a.t=2 put:a.u=2 put:a.v=2", "put:a.t=3 put:a.u=3", "data:a.t data:a.u", NULL, NULL, NULL},
    /* Modes. */
    {"take the source", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=3", "", "a a.t=2", "a.t=source",
     NULL},
    {"take the target", "mk:a put:a.t=1 put:a.u=1", "put:a.t=2 put:a.u=2", "put:a.t=3", "",
     "a a.t=3 a.u=2", "a.t=target", NULL},
    {"take the target by default", "mk:a put:a.t=1 put:a.u=1", "put:a.t=2 put:a.u=2", "put:a.t=3",
     "", "a a.t=3 a.u=2", "*=target a.u=source", NULL},
    {"leave out", "mk:a put:a.t=1 put:a.u=1", "put:a.t=2 put:a.u=2", "", "", "a a.t=1 a.u=2",
     "a.t=drop", NULL},
    {"leave out a namespace, and what comes to it", "", "mk:a put:a.t=1 mk:b", "", "", "b",
     "a=drop", NULL},
    {"what the source did not change is nobody's to take", "mk:a put:a.t=1", "", "put:a.t=2", "",
     "a a.t=2", "*=source", NULL},
    {"take the source's view, and the target's history", "mk:a vw:a.v.sql=x",
     "vw:a.v.sql=y vw:a.v.p=1", "vw:a.v.sql=z vw:a.v.q=1", "", "a a.v.p=1 a.v=y#3", "a.v=source",
     NULL},
    {"the source's drop", "mk:a put:a.t=1", "drop:a.t", "put:a.t=2", "", "a", "*=source", NULL},
    {"the source's name", "mk:a put:a.t=1", "mv:a.t>a.u", "mv:a.t>a.v put:a.v=2", "", "a a.u=1",
     "*=source", NULL},
    {"the source's asset of that name", "mk:a", "put:a.t=1", "put:a.t=2", "", "a a.t=1", "*=source",
     NULL},
    {"the source's namespace is gone with all in it", "mk:a mk:a.b", "rm:a.b rm:a",
     "put:a.b.t=1 put:a.u=1 set:a.x=1", "", "", "*=source", NULL},
    {"back into a namespace that was dropped", "mk:a set:a.x=1 mk:b", "put:a.t=1", "rm:a", "",
     "a a.t=1 a.x=1 b", "*=source", NULL},
    /* Choices of a person. */
    {"chosen: the source", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=3", "", "a a.t=2", NULL,
     "a.t=source"},
    {"chosen: the target", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=3", "", "a a.t=3", NULL,
     "a.t=target"},
    {"chosen: it comes back", "mk:a put:a.t=1", "put:a.t=2", "drop:a.t", "", "a a.t=2", NULL,
     "a.t=source"},
    {"chosen: it stays dropped", "mk:a put:a.t=1", "put:a.t=2", "drop:a.t", "", "a", NULL,
     "a.t=target"},
    {"chosen: a value", "mk:a set:a.x=1", "set:a.x=2 set:a.y=1", "set:a.x=3 set:a.z=1", "",
     "a a.x=4 a.y=1 a.z=1", NULL, "a={\"x\":\"4\"}"},
    {"chosen: no value", "mk:a gen:a.g.x=1", "gen:a.g.x=2", "gen:a.g.x=3", "", "a a.g", NULL,
     "a.g={\"x\":null}"},
    {"chosen: a value for one of two", "mk:a set:a.x=1 set:a.y=1", "set:a.x=2 set:a.y=2",
     "set:a.x=3 set:a.y=3", "metadata:a", NULL, NULL, "a={\"x\":\"4\"}"},
    {"chosen: a value of a view", "mk:a vw:a.v.sql=x", "vw:a.v.p=1 vw:a.v.q=1",
     "vw:a.v.p=2 vw:a.v.r=1", "", "a a.v.p=3 a.v.q=1 a.v.r=1 a.v=x#1", NULL, "a.v={\"p\":\"3\"}"},
    {"chosen: the source's view", "mk:a vw:a.v.sql=x", "vw:a.v.sql=y vw:a.v.p=1",
     "vw:a.v.sql=z vw:a.v.q=1", "", "a a.v.p=1 a.v=y#3", NULL, "a.v=source"},
    {"chosen: the target's view", "mk:a vw:a.v.sql=x", "vw:a.v.sql=y vw:a.v.p=1",
     "vw:a.v.sql=z vw:a.v.q=1", "", "a a.v.q=1 a.v=z#2", NULL, "a.v=target"},
    {"kept, and so what took its name", "mk:a put:a.t=1", "drop:a.t put:a.t=3", "put:a.t=2", "",
     "a a.t=2", NULL, "a.t=target"},
    {"kept, and so its namespace", "mk:a put:a.t=1 mk:b", "drop:a.t rm:a", "put:a.t=2", "",
     "a a.t=2 b", NULL, "a.t=target"},
    {"the namespace stays dropped, and what came to it", "mk:a mk:b", "put:a.t=1 put:b.t=1", "rm:a",
     "", "b b.t=1", NULL, "a=target"},
    {"the namespace comes back", "mk:a mk:b", "put:a.t=1", "rm:a", "", "a a.t=1 b", NULL,
     "a=source"},
    {"the namespace goes, and what is in it", "mk:a mk:b", "rm:a", "put:a.t=1", "", "b", NULL,
     "a=source"},
};

static bool play(fixture *fx, const scene *s)
{
    if (s->before[0] != '\0')
        mfx_do(fx, MAIN, s->before);
    rfx_branch(fx, "dev", MAIN, 0);
    mfx_do(fx, DEV, s->source);
    mfx_do(fx, MAIN, s->target);
    const char *was = mfx_show(fx, MAIN), *source = mfx_show(fx, DEV);
    mfx_merge m = {.source = DEV, .target = MAIN, .modes = s->modes, .choices = s->choices};
    m.documents = strstr(s->before, "vw:") != NULL;
    (void)mfx_run(fx, &m);
    if (m.code != PANG_OK)
        fail_msg("%s: %d %s", s->name, m.code, fx->err.message);
    const char *after = s->after != NULL ? s->after : was, *is = mfx_show(fx, MAIN);
    bool ok = strcmp(m.conflicts, s->conflicts) == 0 && strcmp(is, after) == 0 &&
              strcmp(mfx_show(fx, DEV), source) == 0;
    if (!ok)
        print_error("%s: conflicts \"%s\" and not \"%s\", \"%s\" and not \"%s\"\n", s->name,
                    m.conflicts, s->conflicts, is, after);
    return ok;
}

static void test_merge__each_scene_ends_as_it_should(void **state)
{
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
        fixture *fx = fx_open("memory:");
        wrong += !play(fx, &scenes[i]);
        fx_close(fx);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge__each_scene_ends_as_it_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
