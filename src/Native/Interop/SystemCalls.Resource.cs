namespace KestrelNetpoll.Native.Interop;

internal partial class SystemCalls
{
    /// <summary>The process's soft limit of a resource; <see cref="long.MaxValue"/>: none.</summary>
    internal SyscallResult GetResourceLimit(int resource, out long limit)
    {
        SyscallResult result;
        while ((result = GetResourceLimitOnce(resource, out limit)).IsInterrupted) { }
        return result;
    }

    protected internal virtual unsafe SyscallResult GetResourceLimitOnce(int resource, out long limit)
    {
        rlimit answer = default;
        int result = LibC.getrlimit(resource, &answer);
        limit = (long)Math.Min(answer.rlim_cur, long.MaxValue);
        return SyscallResult.FromReturnValue(result);
    }
}
