using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Mvc;

namespace KestrelNetpoll.Perf.Apps;

/// <summary>An MVC controller: attribute routing, model binding, validation. Public, or MVC does not find it.</summary>
[ApiController]
[Route("products")]
public sealed class ProductsController : ControllerBase
{
    [HttpGet("{id:int}")]
    public ActionResult<Product> Get(int id) => new Product { Id = id, Name = "A product", Price = 9.95m };

    [HttpPost]
    public ActionResult<Product> Post(Product product)
    {
        ArgumentNullException.ThrowIfNull(product);
        product.Id++;
        return product;
    }
}

/// <summary>What the controller answers, and takes.</summary>
public sealed class Product
{
    public int Id { get; set; }

    [Required, StringLength(100)]
    public required string Name { get; set; }

    [Range(0, 1_000_000)]
    public decimal Price { get; set; }
}
