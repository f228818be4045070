namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Our own load generators: C programs, which are compiled when they are first needed, unless they were compiled before.</summary>
internal sealed class LoadPrograms(string directory)
{
    internal const string Compiler = "cc";
    internal const string InstallCompiler = "apt-get install gcc libc6-dev";

    private const string InstallOpenSsl = "apt-get install libssl-dev";

    // A container image has them here, and no compiler.
    private static readonly string CompiledBefore = Path.Combine(AppContext.BaseDirectory, "programs");

    private readonly Dictionary<string, string> _compiled = [];

    internal static bool CanCompile => Directory.Exists(CompiledBefore) || Tool.Find(Compiler) is not null;

    /// <summary>Compiles <c>load/NAME.c</c> or <c>echo/NAME.c</c>, and returns the program's path.</summary>
    internal async Task<string> GetAsync(string source, bool withTls, CancellationToken cancellationToken)
    {
        string name = Path.GetFileNameWithoutExtension(source) + (withTls ? "-tls" : "");
        if (_compiled.TryGetValue(name, out string? program))
        {
            return program;
        }

        if (Path.Combine(CompiledBefore, name) is var before && File.Exists(before))
        {
            return before;
        }

        string compiler = Tool.Find(Compiler) ?? throw new MissingToolException(Compiler, InstallCompiler);
        string file = Path.Combine(AppContext.BaseDirectory, source);
        program = Path.Combine(directory, name);
        string[] tls = withTls ? ["-DWITH_TLS", "-lssl", "-lcrypto"] : [];
        try
        {
            await Tool.RunAsync(compiler, ["-O2", "-Wall", "-Wextra", "-o", program, file, .. tls], cancellationToken);
        }
        catch (LoadException e) when (withTls && (e.Message.Contains("openssl/", StringComparison.Ordinal) ||
            e.Message.Contains("-lssl", StringComparison.Ordinal)))
        {
            throw new MissingToolException("OpenSSL for C", InstallOpenSsl);
        }

        _compiled.Add(name, program);
        return program;
    }
}
