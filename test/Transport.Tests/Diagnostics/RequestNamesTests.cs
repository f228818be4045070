using System.Runtime.CompilerServices;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

[OneMode]
public sealed class RequestNamesTests
{
    private readonly RequestNames _names = new();

    private RequestName? Current => _names.Find(Thread.CurrentThread);

    [Fact]
    public async Task A_request_has_a_name_on_the_thread_that_handles_it_and_only_there()
    {
        DefaultHttpContext context = new() { Request = { Method = "PUT", PathBase = "/base", Path = "/x" } };
        RequestName? elsewhere = null;
        RequestName? name = null;

        await _names.InvokeAsync(context, _ =>
        {
            name = Current;
            using (ExecutionContext.SuppressFlow())
            {
                Thread thread = new(() => elsewhere = Current);
                thread.Start();
                thread.JoinInTime();
            }

            Assert.False(name!.HasEnded);
            return Task.CompletedTask;
        });

        Assert.Equal(("PUT", "/base/x"), (name!.Method, name.Path));
        Assert.Null(elsewhere);
        Assert.Null(Current);
    }

    /// <summary>Timers, and tasks that nobody awaits, keep the execution context that they were begun in.</summary>
    [Fact]
    public void After_a_request_what_it_has_begun_has_no_name_and_keeps_nothing_of_it()
    {
        ExecutionContext captured = Handle(out WeakReference context);

        RequestName? name = null;
        ExecutionContext.Run(captured, _ => name = Current, state: null);

        Assert.Null(name);
        Patience.Until(
            () =>
            {
                GC.Collect();
                return !context.IsAlive;
            },
            "the request is forgotten");
        GC.KeepAlive(captured);
    }

    [Fact]
    public async Task A_request_that_fails_ends_as_well()
    {
        RequestName? name = null;

        await Assert.ThrowsAsync<InvalidOperationException>(() => _names.InvokeAsync(new DefaultHttpContext(), _ =>
        {
            name = Current;
            throw new InvalidOperationException();
        }));

        Assert.True(name!.HasEnded);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ExecutionContext Handle(out WeakReference reference)
    {
        DefaultHttpContext context = new();
        ExecutionContext? captured = null;
        Task handled = _names.InvokeAsync(context, _ =>
        {
            captured = ExecutionContext.Capture();
            return Task.CompletedTask;
        });
        Assert.True(handled.IsCompletedSuccessfully);
        reference = new WeakReference(context);
        return captured!;
    }
}
