namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>
/// For what a busy machine may disturb: if it stops a thread in the middle of a turn, that looks as if the application blocked, and another
/// worker takes over.
/// </summary>
internal static class Undisturbed
{
    /// <summary>Fails unless <paramref name="attempt"/> says, one time of many, that it saw what it expects of a machine with time.</summary>
    internal static async Task OnceAsync(Func<Task<bool>> attempt)
    {
        for (int i = 0; i < 100; i++)
        {
            if (await attempt())
            {
                return;
            }
        }

        Assert.Fail("It did not happen, however often it was tried.");
    }
}
