using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>Certificates that sign themselves and live as long as a test.</summary>
internal static class TestCertificate
{
    /// <summary>Of one that was made without a name.</summary>
    internal const string Subject = "CN=localhost";

    internal static X509Certificate2 Create(string name = "localhost")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));

        // Through PKCS#12, so that the key belongs to the certificate and not to this method.
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
    }
}
