using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;

namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>A library that is put in front of the C library, as authbind, proxychains and faketime are.</summary>
[OneMode]
public sealed class PreloadTests : IDisposable
{
    private const string Source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdio.h>
        #include <sys/socket.h>

        int bind(int fd, const struct sockaddr *address, socklen_t length)
        {
            int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
            if (address->sa_family == AF_INET) fprintf(stderr, "seen: bind\n");
            return next(fd, address, length);
        }

        int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
        {
            int (*next)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
            int result = next(fd, address, length, flags);
            if (result >= 0) fprintf(stderr, "seen: accept4\n");
            return result;
        }
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("netpoll-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task It_sees_the_calls_of_the_transport()
    {
        CommandLineTool.Require("cc", "The C compiler cc is not installed.");
        string source = Path.Combine(_directory, "shim.c");
        string library = Path.Combine(_directory, "shim.so");
        await File.WriteAllTextAsync(source, Source);
        await CommandLineTool.RunAsync("cc", ["-shared", "-fPIC", "-o", library, source, "-ldl"]);

        using ServerProcess server = await ServerProcess.StartAsync(descriptorLimit: 1024, library);
        Assert.Contains("seen: bind", server.Lines);
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint);
        await Patience.UntilAsync(() => server.Lines.Contains("seen: accept4"), "the accept was seen");
    }
}
