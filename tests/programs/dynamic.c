/* Asks for a library, which programs of several ISAs cannot load. */
#include <dlfcn.h>
#include <stdio.h>

int main(void)
{
    void *library = dlopen("libexample.so.1", RTLD_NOW);
    if (library != NULL)
        return 1;
    puts(dlerror());
    return dlsym(RTLD_DEFAULT, "puts") == NULL ? 0 : 2;
}
