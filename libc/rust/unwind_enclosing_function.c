/* For backtraces: where the function around an address begins. Symbols are found by any address within, so that is the answer. */

void *_Unwind_FindEnclosingFunction(void *address)
{
	return address;
}
