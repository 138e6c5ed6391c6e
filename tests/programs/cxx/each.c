/* The C part of `foreign_frames`. */
long each(long count, long (*callback)(long, void *), void *data);

long each(long count, long (*callback)(long, void *), void *data)
{
    long sum = 0;
    for (long i = 0; i < count; i++)
        sum += callback(i, data);
    return sum;
}
